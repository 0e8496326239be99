/** The jobs of a stage: tasks that a scheduler or `aws ecs run-task` starts. */
import AttributeEditor from "@cloudscape-design/components/attribute-editor";
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import { EMPTY_JOB, type JobForm, JOBS_MAX } from "../logic/registration";
import { type FieldErrors, fieldSentence } from "../logic/save";

interface Props {
  jobs: JobForm[];
  errors: FieldErrors;
  change: (jobs: JobForm[]) => void;
}

export function JobsEditor({ jobs, errors, change }: Props) {
  const field = (name: keyof JobForm, label: string, placeholder: string) => ({
    label,
    control: (job: JobForm, index: number) => (
      <Input
        value={job[name]}
        placeholder={placeholder}
        spellcheck={false}
        autoComplete={false}
        onChange={({ detail }) => change(jobs.map((other, at) => (at === index ? { ...other, [name]: detail.value } : other)))}
      />
    ),
    errorText: (_: JobForm, index: number) => fieldSentence(errors[`/jobs/${String(index)}/${name}`]),
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          description="Tasks that a scheduler or aws ecs run-task starts, such as migrations. They get the runtime variables in the latest revision of their task definition."
        >
          Jobs <i>- optional</i>
        </Header>
      }
    >
      <AttributeEditor
        items={jobs}
        definition={[
          field("family", "Task definition family", "shop-dev-migrate"),
          field("container", "Container", "migrate"),
          field("securityGroupId", "Security group ID (optional)", "sg-…"),
        ]}
        addButtonText="Add job"
        removeButtonText="Remove"
        disableAddButton={jobs.length >= JOBS_MAX}
        removeButtonAriaLabel={(job) => `Remove the job ${job.family}`}
        i18nStrings={{ itemRemovedAriaLive: "The job was removed." }}
        onAddButtonClick={() => change([...jobs, EMPTY_JOB])}
        onRemoveButtonClick={({ detail }) => change(jobs.filter((_, index) => index !== detail.itemIndex))}
        empty={<Box color="text-body-secondary">The stage has no jobs.</Box>}
        additionalInfo={
          errors["/jobs"]
            ? fieldSentence(errors["/jobs"])
            : "If you leave out the security group, run the job in a security group of one of the stage's services."
        }
      />
    </Container>
  );
}
