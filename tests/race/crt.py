"""Uploads a file with aws-c-s3, the C client under AWS's CRT, through the Python package
awscrt: multipart, unsigned payload as over TLS, CRC64NVME when asked for.

    crt.py ENDPOINT BUCKET KEY FILE [crc64nvme]
"""

import os
import sys
from urllib.parse import urlsplit

from awscrt.auth import AwsCredentialsProvider, AwsSigningConfig, AwsSignedBodyValue
from awscrt.auth import AwsSignatureType, AwsSigningAlgorithm
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientBootstrap, ClientTlsContext, DefaultHostResolver
from awscrt.io import EventLoopGroup, TlsConnectionOptions, TlsContextOptions
from awscrt.s3 import S3ChecksumAlgorithm, S3ChecksumConfig, S3ChecksumLocation
from awscrt.s3 import S3Client, S3RequestTlsMode, S3RequestType


def main(endpoint, bucket, key, path, checksum=None):
    url = urlsplit(endpoint)
    loops = EventLoopGroup()
    bootstrap = ClientBootstrap(loops, DefaultHostResolver(loops))
    credentials = AwsCredentialsProvider.new_static("race", "race")
    signing = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4,
        signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=credentials,
        region="eu-central-1",
        service="s3",
        signed_body_value=AwsSignedBodyValue.UNSIGNED_PAYLOAD,
    )
    tls, mode = None, S3RequestTlsMode.DISABLED
    if url.scheme == "https":
        options = TlsContextOptions()
        options.override_default_trust_store_from_path(None, os.environ["RACE_CA"])
        tls = TlsConnectionOptions(ClientTlsContext(options))
        tls.set_server_name(url.hostname)
        mode = S3RequestTlsMode.ENABLED
    client = S3Client(
        bootstrap=bootstrap,
        region="eu-central-1",
        signing_config=signing,
        tls_mode=mode,
        tls_connection_options=tls,
        part_size=8 << 20,
    )
    headers = HttpHeaders(
        [("Host", url.netloc), ("Content-Length", str(os.path.getsize(path)))]
    )
    config = None
    if checksum:
        config = S3ChecksumConfig(
            algorithm=S3ChecksumAlgorithm.CRC64NVME, location=S3ChecksumLocation.TRAILER
        )
    request = client.make_request(
        type=S3RequestType.PUT_OBJECT,
        request=HttpRequest("PUT", f"/{bucket}/{key}", headers),
        send_filepath=path,
        checksum_config=config,
    )
    request.finished_future.result()


main(*sys.argv[1:])
