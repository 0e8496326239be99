/** A button that rebuilds the stage with its settings as they are. */
import Button from "@cloudscape-design/components/button";
import { useState } from "react";
import { usePage } from "../api";
import { useNotify } from "../notify";
import { useStage } from "../screens/stage-context";

export function RebuildNow({ text = "Rebuild", primary = false }: { text?: string; primary?: boolean }) {
  const { api } = usePage();
  const { name, running, begun } = useStage();
  const notify = useNotify();
  const [busy, setBusy] = useState(false);
  const begin = async () => {
    setBusy(true);
    try {
      await api.rebuildAgain(name, crypto.randomUUID());
      begun();
    } catch (error) {
      notify({ type: "error", header: "The rebuild was not begun", content: (error as Error).message });
    }
    setBusy(false);
  };
  return (
    <Button
      variant={primary ? "primary" : "normal"}
      disabled={running}
      disabledReason="A rebuild is running."
      loading={busy}
      onClick={() => void begin()}
    >
      {text}
    </Button>
  );
}
