"""One upload by tuspy, as an application would do it.

The bearer token comes from DRIVE_TOKEN. The last line on stdout is a JSON object: `url`, and `found`, the server's
offset at the start of this run (null for a new upload). A failure is a traceback and exit code 1.
"""

import argparse
import asyncio
import functools
import json
import os

from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage
from tusclient.uploader import Uploader


class DeferringUploader(Uploader):
    """Tells the length with the last bytes, as tuspy's development version does: release 1.1.0 cannot.

    Only a chunk that falls short shows the end: a file of whole chunks ends with an empty PATCH.
    """

    def get_url_creation_headers(self):
        headers = super().get_url_creation_headers()
        del headers["upload-length"]
        return {**headers, "upload-defer-length": "1"}

    def upload(self, stop_at=None):
        self.stop_at = size = self.get_file_size()
        ended = False
        while not ended:
            ended = size - self.offset < self.chunk_size
            if ended:
                self.client.set_headers({"upload-length": str(size)})
            self.upload_chunk()


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint", help="where uploads are created")
    parser.add_argument("file")
    parser.add_argument("--metadata", type=json.loads, default={}, help="a JSON object of strings")
    parser.add_argument("--chunk-size", type=int, help="bytes of a PATCH; otherwise one PATCH takes all")
    parser.add_argument("--checksum", action="store_true", help="a checksum with every PATCH")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--defer-length", action="store_true", help="tell the length with the last PATCH")
    kind.add_argument("--asynchronous", action="store_true", help="by AsyncUploader, which is aiohttp")
    parser.add_argument("--retries", type=int, default=0, help="attempts after a failed PATCH")
    parser.add_argument("--stop-at", type=int, help="leave the upload when the server has so many bytes")
    parser.add_argument("--url", help="go on with this upload")
    parser.add_argument("--store", help="a file in which tuspy remembers uploads, and by which it goes on")
    return parser.parse_args()


def main():
    options = parse()
    client = TusClient(options.endpoint, headers={"Authorization": f"Bearer {os.environ['DRIVE_TOKEN']}"})
    settings = {"metadata": options.metadata, "retries": options.retries, "retry_delay": 0}
    if options.chunk_size:
        settings["chunk_size"] = options.chunk_size
    if options.store:
        settings.update(store_url=True, url_storage=FileStorage(options.store))
    if options.asynchronous:
        make = client.async_uploader
    elif options.defer_length:
        make = functools.partial(DeferringUploader, client=client)
    else:
        make = client.uploader

    uploader = make(options.file, url=options.url, upload_checksum=options.checksum, **settings)
    found = uploader.offset if uploader.url else None
    running = uploader.upload(stop_at=options.stop_at)
    if options.asynchronous:
        asyncio.run(running)
    print(json.dumps({"url": uploader.url, "found": found}))


if __name__ == "__main__":
    main()
