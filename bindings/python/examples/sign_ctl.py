#!/usr/bin/python3
"""Signs a trust list with a token: sign_ctl.py MANIFEST TOKEN OUTPUT"""
import getpass
import sys
import ctlsign

def ask(request):
    return getpass.getpass(f"PIN of {request.subject}: ")

def put_back(token):
    print(f"put {token.label} back in within a minute", file=sys.stderr)

manifest, token, output = sys.argv[1:]
with ctlsign.TokenSigner(token, ask, wait=60, on_wait=put_back) as signer:
    ctlsign.store(output, ctlsign.build(ctlsign.Manifest.load(manifest), signer))
