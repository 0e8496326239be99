/** The Save card: what will change, how long it hurts, what cannot be undone; then the Save. */
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
import { fieldSentence } from "../logic/save";
import { effectInWords, fieldInWords } from "../logic/words";

interface Props {
  name: StageName;
  body: Save;
  etag: string | undefined;
  refused: (error: Error) => void;
  saved: () => void;
  close: () => void;
}

export function SaveReview({ name, body, etag, refused, saved, close }: Props) {
  const { api } = usePage();
  const [preview, setPreview] = useState<Preview | null>(null);
  const [toConfirm, setToConfirm] = useState<string | null>(null);
  const [confirm, setConfirm] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  // One key for all tries of this Save: a repeat of one that got through begins nothing more.
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
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the card is made anew for each Save
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
      // What did not get there, or back, can be sent again from here.
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
      header={preview && !rebuilds ? "Nothing would change" : "Review and save"}
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
                <Button variant="primary" disabled={!preview} loading={busy} onClick={() => void save()}>
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
          description="An upgrade to another major version cannot be undone. Type the identifier of the database to go on."
          constraintText={fieldSentence(toConfirm)}
        >
          <Input value={confirm} onChange={({ detail }) => setConfirm(detail.value)} ariaRequired />
        </FormField>
      )}
      {toConfirm === null && !preview && (
        <Box textAlign="center" padding="l">
          <Spinner /> Asking AWS what this would do; this takes some seconds.
        </Box>
      )}
      {preview && toConfirm === null && (
        <SpaceBetween size="m">
          {rebuilds ? (
            <Alert type="info" header="Saving rebuilds the stage">
              Your application may not be accessible on this stage until the rebuild and redeploy have completed.
            </Alert>
          ) : (
            <Box variant="p">The settings are already as you want them, so there is nothing to save.</Box>
          )}
          {preview.changes.length > 0 && <Changes preview={preview} />}
          {cannotBeUndone.length > 0 && (
            <Alert type="warning" header="This cannot be undone">
              {cannotBeUndone.map((change) => fieldInWords(change.field)).join(", ")} cannot be set back to what{" "}
              {cannotBeUndone.length === 1 ? "it is" : "they are"} now.
            </Alert>
          )}
          {preview.warnings.map((warning) => (
            <Alert key={warning} type="warning">
              {warning}
            </Alert>
          ))}
          {(preview.resourceChanges?.length ?? 0) > 0 && (
            <ExpandableSection headerText="What CloudFormation does to the stage's resources">
              <Table
                variant="embedded"
                items={preview.resourceChanges ?? []}
                columnDefinitions={[
                  { id: "id", header: "Resource", cell: (change) => change.logicalId, isRowHeader: true },
                  { id: "type", header: "Type", cell: (change) => change.resourceType },
                  {
                    id: "action",
                    header: "Action",
                    cell: (change) =>
                      change.replacement === "True" ? `${change.action}, replaced` : change.action,
                  },
                ]}
                ariaLabels={{ tableLabel: "Changes of resources" }}
                enableKeyboardNavigation
              />
            </ExpandableSection>
          )}
          {error && (
            <Alert type="error" header="It is not known whether this was saved">
              {error.message} Saving again from here is safe: it begins nothing twice.
            </Alert>
          )}
        </SpaceBetween>
      )}
    </Modal>
  );
}

function Changes({ preview }: { preview: Preview }) {
  return (
    <Table
      variant="embedded"
      wrapLines
      items={preview.changes}
      ariaLabels={{ tableLabel: "What changes" }}
      columnDefinitions={[
        { id: "field", header: "Setting", cell: (change) => fieldInWords(change.field), isRowHeader: true, minWidth: 130 },
        { id: "before", header: "Now", cell: (change) => change.before ?? "–", minWidth: 110 },
        { id: "after", header: "Afterwards", cell: (change) => <strong>{change.after}</strong>, minWidth: 110 },
        {
          id: "effect",
          header: "Effect",
          minWidth: 240,
          cell: (change) => {
            const effect = effectInWords(change);
            return (
              <SpaceBetween size="xxxs">
                <StatusIndicator type={effect.type}>{effect.text}</StatusIndicator>
                <Box variant="small">{change.detail}</Box>
              </SpaceBetween>
            );
          },
        },
      ]}
    />
  );
}
