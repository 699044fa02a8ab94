// Verifies signatures with mailauth: one JSON document in, one out. Records come from the document.
"use strict";
const path = require("path");
const { dkimVerify } = require(path.join(process.argv[2], "lib/dkim/verify"));

async function main() {
  const pieces = [];
  for await (const piece of process.stdin) pieces.push(piece);
  const asked = JSON.parse(Buffer.concat(pieces).toString());
  const resolver = async (name, type) => {
    const text = type === "TXT" ? asked.records[name] : undefined;
    if (text === undefined) throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    return [text.match(/.{1,250}/g)];
  };
  const verdicts = [];
  for (const content of asked.contents) {
    const { results } = await dkimVerify(Buffer.from(content, "base64"), { resolver });
    verdicts.push(
      results
        .filter((one) => one.signingDomain === asked.domain)
        .map((one) =>
          one.status.result === "pass" ? "pass" : `${one.status.result}: ${one.status.comment}`,
        ),
    );
  }
  process.stdout.write(JSON.stringify(verdicts));
}

main();
