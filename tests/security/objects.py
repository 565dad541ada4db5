"""Objects that no client makes by accident, in the bytes that an API server takes."""

import json

from integration.scene import BASE, fresh_number
from security.tenant import Json, Tenant

LABELLED = b'"labels":{"byoc.talkifai.dev/sip-credentials":"true"},'
NUMBERS = b"byoc.talkifai.dev/v1alpha1"


def number(tenant: Tenant, name: str, metadata: bytes = b"", spec: Json | None = None) -> bytes:
    """A number with more metadata."""
    wanted: Json = {"phoneNumber": fresh_number(), **BASE} | (spec or {})
    return b'{"apiVersion":"%s","kind":"ByocPhoneNumber","metadata":{"name":"%s",%s"namespace":"%s"},"spec":%s}' % (
        NUMBERS,
        name.encode(),
        metadata,
        tenant.namespace.encode(),
        json.dumps(wanted).encode(),
    )


def secret(tenant: Tenant, name: str, metadata: bytes = b"") -> bytes:
    """A Secret with credentials and more metadata."""
    values = b'{"username":"YWxpY2U=","password":"Zmlyc3QtcGFzc3dvcmQ="}'
    return b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"%s",%s"namespace":"%s"},"data":%s}' % (
        name.encode(),
        metadata,
        tenant.namespace.encode(),
        values,
    )


def managed(fields: bytes, version: bytes = NUMBERS) -> bytes:
    """The field `managedFields` with one writer of these fields."""
    return (
        b'"managedFields":[{"manager":"m","operation":"Update","apiVersion":"%s","time":"2026-01-01T00:00:00Z",'
        b'"fieldsType":"FieldsV1","fieldsV1":%s}],'
    ) % (version, fields)


def deep(levels: int) -> bytes:
    """Fields of fields of fields."""
    return b'{"f:a":' * levels + b"{}" + b"}" * levels


def flat(count: int) -> bytes:
    """Many fields."""
    return b"{" + b",".join(b'"f:%06d":{}' % index for index in range(count)) + b"}"


def finalizers(count: int) -> bytes:
    """The field `finalizers` with so many of one name."""
    return b'"finalizers":[' + b",".join([b'"a/b"'] * count) + b"],"
