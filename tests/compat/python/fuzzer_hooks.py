"""What the fuzzer must know of JSON-RPC: a request that is refused is answered with status 200 and an error object."""

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection


@schemathesis.check
def rpc_refuses_what_breaks_the_schema(ctx, response, case):
    if response.status_code == 200 and case.path.startswith("/api/nfs/") and "error" in response.json():
        return
    negative_data_rejection(ctx, response, case)
