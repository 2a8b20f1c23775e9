"""Uploads by aiotus, as an application would do them.

The bearer token comes from DRIVE_TOKEN. The last line on stdout is a JSON object: `url`, and by command `found`
(the server's offset at the start of this run) or `metadata` (values as text, or null). A failure is a traceback or a
log line, and exit code 1.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys

import aiohttp
import aiotus
import yarl


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, help, *, files):
        added = commands.add_parser(name, help=help)
        added.add_argument("address", help="the endpoint, or the upload that was created")
        if files:
            added.add_argument("files", nargs=files)
        added.add_argument("--metadata", type=json.loads, default={}, help="a JSON object of strings and nulls")
        added.add_argument("--chunk-size", type=int, default=4 << 20)
        return added

    command("upload", "a file", files=1)
    command("upload-multiple", "files that become one, by concatenation", files="+")
    command("create", "an upload for a file, without its bytes", files=1)
    command("send", "the bytes that the server lacks", files=1)
    command("metadata", "what an upload was created with", files=None)
    return parser.parse_args()


async def run(options, session, files):
    address = yarl.URL(options.address)
    metadata = {key: None if value is None else value.encode() for key, value in options.metadata.items()}
    # Enough for a broken connection; by default ten attempts and minutes of waiting.
    patience = aiotus.RetryConfiguration(retry_attempts=3, max_retry_period_seconds=1)
    match options.command:
        case "upload":
            url = await aiotus.upload(
                address, files[0], metadata, session, patience, chunksize=options.chunk_size)
        case "upload-multiple":
            url = await aiotus.upload_multiple(
                address, files, metadata, session, patience, chunksize=options.chunk_size)
        case "create":
            url = await aiotus.creation.create(session, address, files[0], metadata)
        case "send":
            found = await aiotus.core.offset(session, address)
            await aiotus.core.upload_buffer(session, address, files[0], chunksize=options.chunk_size)
            return {"url": str(address), "found": found}
        case "metadata":
            pairs = await aiotus.metadata(address, session, patience)
            if pairs is None:
                return None
            texts = {key: None if value is None else value.decode() for key, value in pairs.items()}
            return {"url": str(address), "metadata": texts}
    return None if url is None else {"url": str(url)}


async def main():
    options = parse()
    logging.basicConfig(level=logging.INFO)
    headers = {"Authorization": f"Bearer {os.environ['DRIVE_TOKEN']}"}
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(path, "rb")) for path in getattr(options, "files", [])]
        async with aiohttp.ClientSession(headers=headers) as session:
            result = await run(options, session, files)
    # aiotus tells of a failure by None.
    if result is None:
        sys.exit(1)
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main())
