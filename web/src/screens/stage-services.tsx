/** Services and jobs: the form that changes what a stage is registered with. */
import Button from "@cloudscape-design/components/button";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Form from "@cloudscape-design/components/form";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { useCallback, useState } from "react";
import { Refusal, type StageRead, usePage } from "../api";
import { useAttempt } from "../attempt";
import { useDraft } from "../draft";
import { lockOf, WAIT } from "../logic/access";
import { byField } from "../logic/errors";
import {
  errorsAfter,
  formOfStage,
  jobErrors,
  pointersOf,
  registrationBody,
  type RegistrationForm,
  serviceErrors,
} from "../logic/registration";
import { changesInWords } from "../logic/registration-changes";
import { type FieldErrors, fieldSentence } from "../logic/save";
import { AccessNote } from "../parts/access-note";
import { JobsEditor } from "../parts/jobs-editor";
import { ProblemAlert } from "../parts/problem";
import { RegistrationReview } from "../parts/registration-review";
import { SelectedServices } from "../parts/selected-services";
import { ServicePicker } from "../parts/service-picker";
import { useResource } from "../resource";
import { go } from "../router";
import { useServices } from "../services";
import { useAccess, useStage } from "../stage-context";

export default function StageServices() {
  const { api } = usePage();
  const { name, version } = useStage();
  const read = useCallback(
    (signal: AbortSignal) => api.stage(name, signal),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a rebuild that starts or finishes changes the stage
    [api, name, version],
  );
  const { value, error, again } = useResource(read);
  if (error && !value) return <ProblemAlert error={error} header="Couldn't load the services and jobs" again={again} />;
  if (!value) return <Spinner size="large" />;
  return <Edit key={value.etag} stage={value} again={again} />;
}

/** Whether the stage has changed since it was read. Reading it again keeps what the user entered. */
const isStale = (error: Error) => error instanceof Refusal && error.problem.status === 412;

function Edit({ stage, again }: { stage: StageRead; again: () => void }) {
  const { api } = usePage();
  const { name, running, begun } = useStage();
  const services = useServices();
  const before = formOfStage(stage);
  const [form, keep, reset] = useDraft<RegistrationForm>(`services:${name.stack}/${name.stage}`, before);
  const [errors, setErrors] = useState<FieldErrors>({});
  const [whole, setWhole] = useState<Error | null>(null);
  const [reviewing, setReviewing] = useState(false);
  const [busy, setBusy] = useState(false);
  const keyFor = useAttempt();
  const hasDatabase = stage.source !== "none";
  const changes = changesInWords(before, form, hasDatabase);
  const access = useAccess("putStage");
  const lock = lockOf(access, running && WAIT, changes.length === 0 && "You haven't changed anything.");
  const back = () => go({ ...name, screen: "stage" });

  const change = (part: Partial<RegistrationForm>) => {
    setErrors((old) => errorsAfter(old, part));
    setWhole(null);
    keep(part);
  };

  const review = () => {
    setWhole(null);
    const found = { ...serviceErrors(form.services, services.found), ...jobErrors(form.jobs) };
    setErrors(found);
    setReviewing(Object.keys(found).length === 0);
  };

  const save = async () => {
    // The switches are on the stage's details, so a draft of this form doesn't change them.
    const { restoreVariables, connectionProof } = before;
    const body = registrationBody({ ...form, restoreVariables, connectionProof });
    setBusy(true);
    try {
      await api.register(name, body, stage.etag, keyFor({ body, etag: stage.etag }));
      reset();
      begun();
      back();
    } catch (caught) {
      setBusy(false);
      setReviewing(false);
      const { fields, whole: rest } = byField(caught as Error, pointersOf(form));
      setErrors(fields);
      setWhole(rest);
    }
  };

  return (
    <ContentLayout
      header={
        <Header variant="h1" description="Choose the services and jobs that get this stage's runtime variables.">
          Services and jobs
        </Header>
      }
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!lock.disabled) review();
        }}
      >
        <Form
          errorText={fieldSentence(errors["/services"])}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button
                formAction="none"
                variant="link"
                onClick={() => {
                  reset();
                  back();
                }}
              >
                Cancel
              </Button>
              <Button variant="primary" {...lock}>
                Save
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            <AccessNote access={access} />
            {whole && <ProblemAlert error={whole} header="Your changes weren't saved" again={isStale(whole) ? again : undefined} />}
            <ServicePicker
              services={services}
              chosen={form.services}
              own={`${name.stack}/${name.stage}`}
              change={(value) => change({ services: value })}
            />
            <SelectedServices
              chosen={form.services}
              known={services.found}
              errors={errors}
              change={(value) => change({ services: value })}
            />
            <JobsEditor jobs={form.jobs} errors={errors} change={(jobs) => change({ jobs })} />
          </SpaceBetween>
        </Form>
      </form>
      {reviewing && (
        <RegistrationReview
          changes={changes}
          hasDatabase={hasDatabase}
          busy={busy}
          save={() => void save()}
          close={() => setReviewing(false)}
        />
      )}
    </ContentLayout>
  );
}
