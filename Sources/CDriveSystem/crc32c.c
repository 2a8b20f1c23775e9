#include "CDriveSystem.h"

#include <pthread.h>
#include <string.h>

// Reflected Castagnoli polynomial.
#define POLYNOMIAL 0x82f63b78u

static uint32_t byte_table[256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
#include <nmmintrin.h>

// Three independent streams hide the three-cycle latency of the crc32 instruction; a stream's checksum is moved
// past the bytes that follow it by a table look-up, because CRC is linear: appending n zero bytes is a linear map.
#define STREAM 4096
static uint32_t shift_table[4][256];
static int has_instruction;

static uint32_t append_zeros(uint32_t crc, size_t count) {
    while (count--) crc = (crc >> 8) ^ byte_table[crc & 0xff];
    return crc;
}

static inline uint32_t shift(uint32_t crc) {
    return shift_table[0][crc & 0xff] ^ shift_table[1][(crc >> 8) & 0xff] ^ shift_table[2][(crc >> 16) & 0xff] ^
           shift_table[3][crc >> 24];
}

static inline uint64_t load(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t state, const uint8_t *p, size_t n) {
    uint64_t a = state;
    while (n >= 3 * STREAM) {
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < STREAM; i += 8) {
            a = _mm_crc32_u64(a, load(p + i));
            b = _mm_crc32_u64(b, load(p + STREAM + i));
            c = _mm_crc32_u64(c, load(p + 2 * STREAM + i));
        }
        a = shift((uint32_t)a) ^ (uint32_t)b;
        a = shift((uint32_t)a) ^ (uint32_t)c;
        p += 3 * STREAM;
        n -= 3 * STREAM;
    }
    for (; n >= 8; p += 8, n -= 8) a = _mm_crc32_u64(a, load(p));
    for (; n > 0; p++, n--) a = _mm_crc32_u8((uint32_t)a, *p);
    return (uint32_t)a;
}
#endif

static void make_tables(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        byte_table[i] = crc;
    }
#if defined(__x86_64__)
    has_instruction = __builtin_cpu_supports("sse4.2");
    uint32_t image[32];
    for (int bit = 0; bit < 32; bit++) image[bit] = append_zeros(1u << bit, STREAM);
    for (int byte = 0; byte < 4; byte++)
        for (uint32_t value = 0; value < 256; value++) {
            uint32_t sum = 0;
            for (int bit = 0; bit < 8; bit++)
                if (value >> bit & 1) sum ^= image[byte * 8 + bit];
            shift_table[byte][value] = sum;
        }
#endif
}

uint32_t drive_crc32c(uint32_t crc, const void *bytes, size_t length) {
    pthread_once(&tables_once, make_tables);
    const uint8_t *p = bytes;
    uint32_t state = ~crc;
#if defined(__x86_64__)
    if (has_instruction) return ~by_instruction(state, p, length);
#endif
    for (; length > 0; p++, length--) state = (state >> 8) ^ byte_table[(state ^ *p) & 0xff];
    return ~state;
}

// The product of two polynomials over GF(2) modulo the Castagnoli one, bits reflected: bit 31 is x^0.
static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
        if (a & bit) product ^= b;
        b = b & 1 ? (b >> 1) ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

uint32_t drive_crc32c_combine(uint32_t first, uint32_t second, uint64_t second_length) {
    // Appending n bytes multiplies by x^(8n): by squaring, from x^8.
    uint32_t power = 1u << 31, square = 1u << 23;
    for (uint64_t left = second_length; left != 0; left >>= 1) {
        if (left & 1) power = multiply(square, power);
        square = multiply(square, square);
    }
    return multiply(power, first) ^ second;
}
