/// A dictionary of bounded size that forgets the least recently used entry first. All operations take constant time.
struct LRUCache<Key: Hashable, Value> {
    private struct Slot {
        var key: Key
        var value: Value
        var newer: Int
        var older: Int
    }

    private static var none: Int { -1 }

    private var slots: ContiguousArray<Slot> = []
    private var indexes: [Key: Int] = [:]
    private var newest = LRUCache.none
    private var oldest = LRUCache.none
    /// The most entries kept; at least one.
    let capacity: Int

    init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    var count: Int { slots.count }

    /// The value of `key`, which becomes the most recently used one.
    mutating func value(for key: Key) -> Value? {
        guard let index = indexes[key] else { return nil }
        touch(index)
        return slots[index].value
    }

    /// Sets the value of `key`, and drops the least recently used entry where there is no room.
    mutating func insert(_ value: Value, for key: Key) {
        update(key, default: value) { $0 = value }
    }

    /// Changes the value of `key` in place, starting from `initial` where there is none.
    mutating func update<Result>(
        _ key: Key, default initial: @autoclosure () -> Value, _ body: (inout Value) -> Result
    ) -> Result {
        if let index = indexes[key] {
            touch(index)
            return body(&slots[index].value)
        }
        if slots.count >= capacity { remove(at: oldest) }
        slots.append(Slot(key: key, value: initial(), newer: Self.none, older: Self.none))
        let index = slots.count - 1
        indexes[key] = index
        linkAsNewest(index)
        return body(&slots[index].value)
    }

    /// Changes the value of `key` where there is one, without counting that as a use.
    mutating func updateIfPresent(_ key: Key, _ body: (inout Value) -> Void) {
        if let index = indexes[key] { body(&slots[index].value) }
    }

    mutating func removeValue(for key: Key) {
        if let index = indexes[key] { remove(at: index) }
    }

    mutating func removeAll(where condition: (Key, Value) -> Bool) {
        for key in slots.filter({ condition($0.key, $0.value) }).map(\.key) { removeValue(for: key) }
    }

    /// The first entry that meets `condition` among the `limit` least recently used ones.
    func leastRecent(among limit: Int, where condition: (Value) -> Bool) -> Key? {
        var index = oldest
        var seen = 0
        while index != Self.none, seen < limit {
            if condition(slots[index].value) { return slots[index].key }
            index = slots[index].newer
            seen += 1
        }
        return nil
    }

    private mutating func touch(_ index: Int) {
        guard index != newest else { return }
        unlink(index)
        linkAsNewest(index)
    }

    private mutating func linkAsNewest(_ index: Int) {
        slots[index].newer = Self.none
        slots[index].older = newest
        if newest != Self.none { slots[newest].newer = index }
        newest = index
        if oldest == Self.none { oldest = index }
    }

    private mutating func unlink(_ index: Int) {
        let (newer, older) = (slots[index].newer, slots[index].older)
        if newer != Self.none { slots[newer].older = older } else { newest = older }
        if older != Self.none { slots[older].newer = newer } else { oldest = newer }
    }

    /// The last slot moves into the gap, so that the slots stay dense.
    private mutating func remove(at index: Int) {
        unlink(index)
        indexes[slots[index].key] = nil
        let last = slots.count - 1
        if index != last {
            let moved = slots[last]
            slots[index] = moved
            indexes[moved.key] = index
            if moved.newer != Self.none { slots[moved.newer].older = index } else { newest = index }
            if moved.older != Self.none { slots[moved.older].newer = index } else { oldest = index }
        }
        slots.removeLast()
    }
}
