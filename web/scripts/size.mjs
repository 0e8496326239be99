/** Checks the gzipped size of everything that the first screen loads against a limit. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const ALLOWED = { script: 350, style: 110 };

const manifest = JSON.parse(readFileSync("dist/.vite/manifest.json", "utf8"));
const entry = Object.values(manifest).find((chunk) => chunk.isEntry);
// The first screen: the sign-in, the frame with the list of stacks, and everything that they import.
const wanted = new Set();
const visit = (name) => {
  if (wanted.has(name)) return;
  wanted.add(name);
  for (const imported of manifest[name].imports ?? []) visit(imported);
};
visit(entry.src);
visit("src/app.tsx");

const files = { script: new Set(), style: new Set() };
for (const name of wanted) {
  files.script.add(manifest[name].file);
  for (const style of manifest[name].css ?? []) files.style.add(style);
}
let failed = false;
for (const [kind, allowed] of Object.entries(ALLOWED)) {
  const bytes = [...files[kind]].reduce((sum, file) => sum + gzipSync(readFileSync(`dist/${file}`), { level: 9 }).length, 0);
  const kilobytes = Math.round(bytes / 102.4) / 10;
  console.log(`First screen, ${kind}: ${kilobytes} KB gzipped in ${files[kind].size} files (limit: ${allowed} KB)`);
  if (kilobytes > allowed) failed = true;
}
if (failed) process.exit(1);
