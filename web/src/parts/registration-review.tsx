/** The dialog before a change of services and jobs is saved: what happens to which of them. */
import Alert from "@cloudscape-design/components/alert";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { DialogFooter } from "./dialog-footer";

interface Props {
  changes: string[];
  hasDatabase: boolean;
  busy: boolean;
  save: () => void;
  close: () => void;
}

export function RegistrationReview({ changes, hasDatabase, busy, save, close }: Props) {
  return (
    <Modal
      visible
      header="Save services and jobs?"
      closeAriaLabel="Close without saving"
      onDismiss={close}
      footer={<DialogFooter verb="Save and rebuild" busy={busy} confirm={save} close={close} />}
    >
      <SpaceBetween size="m">
        <ul>
          {changes.map((change) => (
            <li key={change}>{change}</li>
          ))}
        </ul>
        <Alert type="info">
          {hasDatabase
            ? "Services may not be accessible while they're redeployed. stagedb doesn't touch the other services and jobs."
            : "The stage has no database, so stagedb doesn't redeploy any service."}
        </Alert>
      </SpaceBetween>
    </Modal>
  );
}
