/** A button that rebuilds the stage with its current settings. */
import Button from "@cloudscape-design/components/button";
import { useState } from "react";
import { usePage } from "../api";
import { useNotify } from "../notify";
import { useLock, useStage } from "../stage-context";

export function RebuildNow({ text = "Rebuild stage", primary = false }: { text?: string; primary?: boolean }) {
  const { api } = usePage();
  const { name, begun } = useStage();
  const notify = useNotify();
  const lock = useLock("postRebuild");
  const [busy, setBusy] = useState(false);
  const begin = async () => {
    setBusy(true);
    try {
      await api.rebuildAgain(name, crypto.randomUUID());
      begun();
    } catch (error) {
      notify({ type: "error", header: "Couldn't start the rebuild", content: (error as Error).message });
    }
    setBusy(false);
  };
  return (
    <Button
      variant={primary ? "primary" : "normal"}
      {...lock}
      loading={busy}
      onClick={() => void begin()}
    >
      {text}
    </Button>
  );
}
