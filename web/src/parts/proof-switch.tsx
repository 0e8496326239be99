/** The switch that decides whether a rebuild connects to the database before it publishes anything. */
import Toggle from "@cloudscape-design/components/toggle";
import type { ConnectionProof } from "../logic/registration";
import { PROOF_LABEL, proofHint } from "../logic/words";

interface Props {
  proof: ConnectionProof;
  change: (proof: ConnectionProof) => void;
  disabled?: boolean;
}

export function ProofSwitch({ proof, change, disabled = false }: Props) {
  return (
    <Toggle
      checked={proof === "required"}
      disabled={disabled}
      onChange={({ detail }) => change(detail.checked ? "required" : "skipped")}
      description={proofHint(proof)}
    >
      {PROOF_LABEL}
    </Toggle>
  );
}
