/** The save dialog: what changes, what that interrupts, what can't be undone, and the button that saves. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import { useCallback, useEffect, useState } from "react";
import { type Preview, Refusal, type Save, type StageName, usePage } from "../api";
import { lockOf } from "../logic/access";
import { type Knowledge, reviewOf } from "../logic/connection-test";
import { lastDowntimeInWords } from "../logic/downtime";
import { fieldSentence } from "../logic/save";
import { effectInWords, fieldInWords, valueInWords } from "../logic/words";
import { useResource } from "../resource";
import { useAccess } from "../stage-context";

const LIST = new Intl.ListFormat("en-US", { type: "conjunction" });

interface Props {
  name: StageName;
  body: Save;
  etag: string | undefined;
  /** What is known about the connection to a database that's attached. */
  connection?: Knowledge;
  refused: (error: Error) => void;
  saved: () => void;
  close: () => void;
}

export function SaveReview({ name, body, etag, connection = "untested", refused, saved, close }: Props) {
  const { api } = usePage();
  const lock = lockOf(useAccess("putDatabase"));
  const [preview, setPreview] = useState<Preview | null>(null);
  const [toConfirm, setToConfirm] = useState<string | null>(null);
  const [confirm, setConfirm] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  // All attempts of this save share a key, so that a repeated request doesn't start a second rebuild.
  const [key] = useState(() => crypto.randomUUID());

  const look = useCallback(
    (withConfirm: string | undefined) => {
      const wish = withConfirm === undefined ? body : ({ ...body, confirm: withConfirm } as Save);
      api.preview(name, wish, etag).then(
        (found) => {
          setPreview(found);
          setToConfirm(null);
        },
        (caught: unknown) => {
          const missing = caught instanceof Refusal ? caught.field("/confirm") : undefined;
          if (missing) setToConfirm(missing);
          else refused(caught as Error);
        },
      );
    },
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the dialog is remounted for each save
    [],
  );
  useEffect(() => {
    look(undefined);
  }, [look]);

  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      const wish = confirm === "" ? body : ({ ...body, confirm } as Save);
      await api.save(name, wish, etag, key);
      saved();
    } catch (caught) {
      setBusy(false);
      // If the request or the response got lost, the user can send it again from this dialog.
      if (caught instanceof Refusal && caught.problem.status >= 400 && caught.problem.status < 500) refused(caught);
      else setError(caught as Error);
    }
  };

  const rebuilds = preview?.rebuild ?? false;
  const cannotBeUndone = preview?.changes.filter((change) => !change.canBeUndone && change.before != null) ?? [];
  return (
    <Modal
      visible
      size="large"
      header={preview && !rebuilds ? "No changes to save" : "Review and save"}
      closeAriaLabel="Close without saving"
      onDismiss={close}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close} disabled={busy}>
              {preview && !rebuilds ? "Close" : "Cancel"}
            </Button>
            {toConfirm !== null ? (
              <Button variant="primary" disabled={confirm === ""} onClick={() => look(confirm)}>
                Continue
              </Button>
            ) : (
              (!preview || rebuilds) && (
                <Button variant="primary" {...lock} disabled={!preview || lock.disabled} loading={busy} onClick={() => void save()}>
                  Save and rebuild
                </Button>
              )
            )}
          </SpaceBetween>
        </Box>
      }
    >
      {toConfirm !== null && (
        <FormField
          label="Confirm the upgrade"
          description="You can't undo a major version upgrade. To continue, enter the DB identifier."
          constraintText={fieldSentence(toConfirm)}
        >
          <Input value={confirm} onChange={({ detail }) => setConfirm(detail.value)} ariaRequired />
        </FormField>
      )}
      {toConfirm === null && !preview && (
        <Box textAlign="center" padding="l">
          <Spinner /> Checking the changes with AWS. This takes a few seconds.
        </Box>
      )}
      {preview && toConfirm === null && (
        <SpaceBetween size="m">
          {rebuilds ? (
            <Alert type="info" header="Saving rebuilds the stage">
              Your application may not be accessible on this stage until the rebuild and redeploy have completed.
            </Alert>
          ) : (
            <Box variant="p">The stage already has these settings, so there's nothing to save.</Box>
          )}
          {preview.changes.length > 0 && <Changes preview={preview} />}
          {cannotBeUndone.length > 0 && (
            <Alert type="warning" header="This can't be undone">
              You won't be able to change {LIST.format(cannotBeUndone.map((change) => fieldInWords(change.field)))} back to
              the current {cannotBeUndone.length === 1 ? "value" : "values"}.
            </Alert>
          )}
          {preview.warnings.map((warning) => (
            <Alert key={warning} type="warning">
              {warning}
            </Alert>
          ))}
          {rebuilds && body.source === "attached" && <Connection name={name} connection={connection} />}
          {(preview.resourceChanges?.length ?? 0) > 0 && (
            <ExpandableSection headerText="CloudFormation changes to the stage's resources">
              <Table
                variant="embedded"
                items={preview.resourceChanges ?? []}
                columnDefinitions={[
                  { id: "id", header: "Logical ID", cell: (change) => change.logicalId, isRowHeader: true },
                  { id: "type", header: "Resource type", cell: (change) => change.resourceType },
                  {
                    id: "action",
                    header: "Action",
                    cell: (change) =>
                      change.replacement === "True" ? `${change.action} (replacement)` : change.action,
                  },
                ]}
                ariaLabels={{ tableLabel: "Resource changes" }}
                enableKeyboardNavigation
              />
            </ExpandableSection>
          )}
          {error && (
            <Alert type="error" header="Your changes may not have been saved">
              {error.message} It's safe to save again from here. That doesn't start a second rebuild.
            </Alert>
          )}
        </SpaceBetween>
      )}
    </Modal>
  );
}

function Connection({ name, connection }: { name: StageName; connection: Knowledge }) {
  const { api } = usePage();
  const { value: stage } = useResource(useCallback((signal: AbortSignal) => api.stage(name, signal), [api, name]));
  const { type, header, text } = reviewOf(connection, stage?.connectionProof);
  return (
    <Alert type={type} header={header}>
      {text}
    </Alert>
  );
}

function Changes({ preview }: { preview: Preview }) {
  return (
    <Table
      variant="embedded"
      wrapLines
      items={preview.changes}
      ariaLabels={{ tableLabel: "Changes" }}
      columnDefinitions={[
        { id: "field", header: "Setting", cell: (change) => fieldInWords(change.field), isRowHeader: true, minWidth: 130 },
        { id: "before", header: "Current value", cell: (change) => valueInWords(change.before), minWidth: 110 },
        { id: "after", header: "New value", cell: (change) => <strong>{valueInWords(change.after)}</strong>, minWidth: 110 },
        {
          id: "effect",
          header: "Effect",
          minWidth: 240,
          cell: (change) => {
            const effect = effectInWords(change);
            const last = lastDowntimeInWords(change);
            return (
              <SpaceBetween size="xxxs">
                <StatusIndicator type={effect.type}>{effect.text}</StatusIndicator>
                <Box variant="small">{change.detail}</Box>
                {last !== undefined && <Box variant="small">{last}</Box>}
              </SpaceBetween>
            );
          },
        },
      ]}
    />
  );
}
