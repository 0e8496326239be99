// The modules of the page are layers: screens are made of parts, parts of logic, and nothing uses what uses it.
export default {
  forbidden: [
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    { name: "parts-know-no-screen", severity: "error", from: { path: "^src/parts/" }, to: { path: "^src/screens/" } },
    {
      name: "logic-knows-no-component",
      severity: "error",
      from: { path: "^src/logic/" },
      to: { path: "^src/(parts|screens)/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^src/generated/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
  },
};
