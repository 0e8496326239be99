/** Checks that every package in the lock file has an allowed license. Development packages may use a few more licenses. */
import { existsSync, readFileSync } from "node:fs";

const SERVED = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"];
const BUILDING = [...SERVED, "BlueOak-1.0.0", "CC-BY-4.0", "CC0-1.0", "MPL-2.0", "Python-2.0"];

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
const wrong = [];
let counted = 0;
for (const [path, entry] of Object.entries(packages)) {
  // Packages for other platforms aren't installed, so they can't be served.
  if (path === "" || entry.link || !existsSync(`${path}/package.json`)) continue;
  const said = JSON.parse(readFileSync(`${path}/package.json`, "utf8"));
  const license = said.license?.type ?? said.license ?? said.licenses?.[0]?.type ?? "none";
  const allowed = entry.dev || entry.devOptional ? BUILDING : SERVED;
  const choices = String(license).replace(/[()]/g, "");
  const fits = choices.split(" OR ").some((choice) => choice.split(" AND ").every((each) => allowed.includes(each.trim())));
  if (!fits) wrong.push(`${path}: ${license}`);
  counted += 1;
}
if (wrong.length > 0) {
  console.error(`These licenses aren't allowed:\n${wrong.join("\n")}`);
  process.exit(1);
}
console.log(`The licenses of ${counted} packages are allowed.`);
