import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** Cloudscape's global styles carry their fonts inside; as files of our own they are loaded when needed, beside the styles. */
function fontsAsFiles(): Plugin {
  return {
    name: "fonts-as-files",
    apply: "build",
    generateBundle(_, bundle) {
      let count = 0;
      for (const sheet of Object.values(bundle)) {
        if (sheet.type !== "asset" || !sheet.fileName.endsWith(".css")) continue;
        const styles = typeof sheet.source === "string" ? sheet.source : Buffer.from(sheet.source).toString();
        sheet.source = styles.replace(/url\(['"]?data:font\/woff2;base64,([^'")]+)['"]?\)/g, (_, content: string) => {
          count += 1;
          const name = `open-sans-${String(count)}.woff2`;
          const font = this.emitFile({ type: "asset", name, source: Buffer.from(content, "base64") });
          return `url(/${this.getFileName(font)})`;
        });
      }
    },
  };
}

/** Compresses once, as well as it can be done, what would otherwise be compressed at every request. */
function compressed(): Plugin {
  let folder = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (!entry.isFile() || !/\.(js|css|svg|html|txt)$/.test(entry.name)) continue;
        const content = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
        writeFileSync(
          `${path}.br`,
          brotliCompressSync(content, {
            params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
          }),
        );
      }
    },
  };
}

export default defineConfig({
  plugins: [fontsAsFiles(), react(), compressed()],
  build: {
    target: "es2022",
    manifest: ".vite/manifest.json",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1024,
  },
});
