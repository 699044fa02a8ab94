"""verifies signatures with dkimpy: a message a line in JSON, a verdict a line out; run by Debian's
Python, which has it
"""

import base64
import json
import sys

import dkim


def main() -> None:
    asked = json.load(sys.stdin)
    records = asked["records"]

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return records.get(name.decode().rstrip("."), "").encode()

    verdicts = []
    for content in asked["contents"]:
        message = base64.b64decode(content)
        found = []
        try:
            checker = dkim.DKIM(message)
        except dkim.MessageFormatError as error:
            verdicts.append([f"unreadable: {error}"])
            continue
        signatures = [f for f in checker.headers if f[0].lower() == b"dkim-signature"]
        for number in range(len(signatures)):
            try:
                tags = dkim.util.parse_tag_value(signatures[number][1])
                if tags[b"d"].decode() != asked["domain"]:
                    continue
                found.append("pass" if checker.verify(idx=number, dnsfunc=look_up) else "fail")
            except Exception as error:
                found.append(f"{type(error).__name__}: {error}")
        verdicts.append(found)
    json.dump(verdicts, sys.stdout)


main()
