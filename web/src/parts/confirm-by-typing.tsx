/** A dialog for what can't simply be undone. The user types a name to confirm. */
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type ReactNode, useState } from "react";
import { useSubmission } from "../submission";
import { DialogFooter } from "./dialog-footer";

export function ConfirmByTyping(props: {
  header: string;
  verb: string;
  closeLabel: string;
  /** What the user must type. */
  expected: string;
  /** A warning, above the field. */
  children: ReactNode;
  /** Each attempt has the same key. */
  confirm: (typed: string, key: string) => Promise<void>;
  /** The sentence for an error of `confirm`. */
  sentence: (error: Error) => string;
  close: () => void;
}) {
  const { header, verb, closeLabel, expected, children, confirm, sentence, close } = props;
  const [typed, setTyped] = useState("");
  const [key] = useState(() => crypto.randomUUID());

  const { busy, error, submit } = useSubmission(() => confirm(typed, key));
  return (
    <Modal
      visible
      header={header}
      closeAriaLabel={closeLabel}
      onDismiss={close}
      footer={<DialogFooter verb={verb} busy={busy} disabled={typed !== expected} canLeave confirm={submit} close={close} />}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === expected && !busy) submit();
        }}
      >
        <SpaceBetween size="m">
          {children}
          <FormField label={`Type ${expected} to confirm`} errorText={error ? sentence(error) : undefined}>
            <Input
              value={typed}
              onChange={({ detail }) => setTyped(detail.value)}
              placeholder={expected}
              autoComplete={false}
              spellcheck={false}
            />
          </FormField>
        </SpaceBetween>
      </form>
    </Modal>
  );
}
