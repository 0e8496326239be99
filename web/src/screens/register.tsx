/** Register a stage: select its services, name it, and review it. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Wizard from "@cloudscape-design/components/wizard";
import { useEffect, useMemo, useRef, useState } from "react";
import { Refusal, usePage } from "../api";
import { useAttempt } from "../attempt";
import { useDraft } from "../draft";
import { type Access, accessTo, registersSomewhere } from "../logic/access";
import { byField } from "../logic/errors";
import {
  errorsAfter,
  foundOf,
  jobErrors,
  nameErrors,
  NEW_STAGE,
  type NewStage,
  pointersOf,
  registrationBody,
  serviceErrors,
  stepOf,
  suggestedNames,
} from "../logic/registration";
import { type FieldErrors, fieldSentence } from "../logic/save";
import { PROOF_LABEL, sentence, valueInWords } from "../logic/words";
import { useMe, useMeOn } from "../me";
import { AccessNote } from "../parts/access-note";
import { JobsEditor } from "../parts/jobs-editor";
import { ProblemAlert } from "../parts/problem";
import { ProofSwitch } from "../parts/proof-switch";
import { RegistrationSummary } from "../parts/registration-summary";
import { RestoreSwitch } from "../parts/restore-switch";
import { SelectedServices } from "../parts/selected-services";
import { ServicePicker } from "../parts/service-picker";
import { StageNames } from "../parts/stage-names";
import { go } from "../router";
import { useServices } from "../services";
import { merged, useStacks } from "../stacks";

const REVIEW = 2;
/** Milliseconds after the last keystroke until the page asks about the names. */
const TYPING = 400;

/** Whether the user may register a stage with these names: as far as they're known, or any stage at all. */
function useRegisterAccess(stack: string, stage: string): Access {
  const me = useMe();
  const isValid = Object.keys(nameErrors(stack, stage, [])).length === 0;
  const typed = isValid ? `${stack}/${stage}` : "";
  const [settled, setSettled] = useState(typed);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(typed), TYPING);
    return () => clearTimeout(timer);
  }, [typed]);
  const name = useMemo(() => {
    const [ofStack, ofStage] = settled.split("/");
    return ofStack && ofStage ? { stack: ofStack, stage: ofStage } : null;
  }, [settled]);
  const onStage = useMeOn(name, 0, null);
  const found = onStage.value?.stage;
  if (isValid && found?.stack === stack && found.stage === stage) return accessTo(found, false, ["putStage"]);
  return registersSomewhere(me.value, me.error !== undefined);
}

export default function Register() {
  const { api } = usePage();
  const stacks = useStacks();
  const services = useServices();
  const [form, keep, reset] = useDraft<NewStage>("register", NEW_STAGE);
  const [errors, setErrors] = useState<FieldErrors>({});
  const [whole, setWhole] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const keyFor = useAttempt();
  /** The key of a request whose response got lost, so that the stage may exist because of it. */
  const unsure = useRef("");
  // The names can be changed in the step after the services.
  const access = useRegisterAccess(form.step > 0 ? form.stack : "", form.step > 0 ? form.stage : "");
  const chosen = foundOf(form.services, services.found);

  const change = (part: Partial<NewStage>) => {
    setErrors((before) => errorsAfter(before, part));
    setWhole(null);
    keep(part);
  };

  /** Shows the errors at their step. */
  const show = (found: FieldErrors) => {
    setErrors(found);
    const step = stepOf(found);
    if (step !== undefined) keep({ step });
  };

  const navigate = (to: number) => {
    setWhole(null);
    // The note says why.
    if (to > form.step && !access.allowed) {
      window.scrollTo(0, 0);
      return;
    }
    const found = {
      ...(to > 0 ? serviceErrors(form.services, services.found) : {}),
      ...(to > 1 ? { ...nameErrors(form.stack, form.stage, stacks.value ?? []), ...jobErrors(form.jobs) } : {}),
    };
    if (stepOf(found) !== undefined) {
      show(found);
      return;
    }
    const named = form.named || form.step > 0 ? {} : suggestedNames(chosen);
    keep({ step: to, ...named });
    window.scrollTo(0, 0);
  };

  const register = async () => {
    if (!access.allowed) {
      window.scrollTo(0, 0);
      return;
    }
    const { stack, stage } = form;
    const body = registrationBody(form);
    const key = keyFor({ stack, stage, body });
    setBusy(true);
    setWhole(null);
    try {
      if (unsure.current !== key) {
        // Without this, a stage that was registered in the meantime would get these services instead of its own.
        const found = nameErrors(stack, stage, merged(await api.stacks()));
        if (stepOf(found) !== undefined) {
          setBusy(false);
          show(found);
          return;
        }
      }
      await api.register({ stack, stage }, body, undefined, key);
      reset();
      stacks.again();
      go({ screen: "stage", stack, stage });
    } catch (caught) {
      setBusy(false);
      const isRefusal = caught instanceof Refusal && caught.problem.status >= 400 && caught.problem.status < 500;
      if (!isRefusal) unsure.current = key;
      const { fields, whole: rest } = byField(caught as Error, pointersOf(form));
      show(fields);
      setWhole(rest);
    }
  };

  const note = <AccessNote access={access} header={form.step === 0 ? "You can't register a stage" : "You can't register this stage"} />;
  return (
    <Wizard
      activeStepIndex={form.step}
      onNavigate={({ detail }) => navigate(detail.requestedStepIndex)}
      onCancel={() => {
        reset();
        go({ screen: "stacks" });
      }}
      onSubmit={() => void register()}
      submitButtonText="Register stage"
      isLoadingNextStep={busy}
      steps={[
        {
          title: "Select services",
          description: "Select 1 to 20 ECS services that use the same database.",
          errorText: fieldSentence(errors["/services"]),
          content: (
            <SpaceBetween size="l">
              {note}
              {whole && form.step === 0 && <ProblemAlert error={whole} header="The stage wasn't registered" />}
              <ServicePicker services={services} chosen={form.services} change={(value) => change({ services: value })} />
              <SelectedServices
                chosen={form.services}
                known={services.found}
                errors={errors}
                change={(value) => change({ services: value })}
              />
            </SpaceBetween>
          ),
        },
        {
          title: "Name the stage",
          description: "Name the stage, and add the jobs that use its database.",
          content: (
            <SpaceBetween size="l">
              {note}
              {whole && form.step === 1 && <ProblemAlert error={whole} header="The stage wasn't registered" />}
              <StageNames
                stack={form.stack}
                stage={form.stage}
                errors={errors}
                change={(names) => change({ ...names, named: true })}
              />
              <JobsEditor jobs={form.jobs} errors={errors} change={(jobs) => change({ jobs })} />
              <Container header={<Header variant="h2">Deployments and rebuilds</Header>}>
                <SpaceBetween size="m">
                  <RestoreSwitch
                    checked={form.restoreVariables}
                    change={(restoreVariables) => change({ restoreVariables })}
                  />
                  <ProofSwitch proof={form.connectionProof} change={(connectionProof) => change({ connectionProof })} />
                </SpaceBetween>
              </Container>
            </SpaceBetween>
          ),
        },
        {
          title: "Review and register",
          content: (
            <SpaceBetween size="l">
              {note}
              {whole && form.step === REVIEW && <ProblemAlert error={whole} header="The stage wasn't registered" />}
              <Container header={<Header variant="h2">Stage</Header>}>
                <KeyValuePairs
                  columns={3}
                  items={[
                    { label: "Stack", value: form.stack },
                    { label: "Stage", value: form.stage },
                    { label: "CloudFormation stack", value: `${form.stack}-${form.stage}` },
                    { label: "VPC", value: chosen[0]?.vpcId ?? "–" },
                    { label: "Restore variables", value: valueInWords(form.restoreVariables) },
                    { label: PROOF_LABEL, value: sentence(form.connectionProof) },
                  ]}
                />
              </Container>
              <Container header={<Header variant="h2">Services and jobs</Header>}>
                <RegistrationSummary services={form.services} jobs={registrationBody(form).jobs ?? []} />
              </Container>
              <Alert type="info" header="Registering a stage doesn't redeploy your services">
                <Box color="inherit">
                  stagedb creates the CloudFormation stack and tags the services. The containers get their runtime
                  variables when you add a database.
                </Box>
              </Alert>
            </SpaceBetween>
          ),
        },
      ]}
    />
  );
}
