/** The names of a new stage. */
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { STACK_MAX, STAGE_MAX } from "../logic/registration";
import { type FieldErrors, fieldSentence } from "../logic/save";

const RULE = "Lowercase letters, digits, and single hyphens. Starts with a letter.";

interface Props {
  stack: string;
  stage: string;
  errors: FieldErrors;
  change: (names: { stack?: string; stage?: string }) => void;
}

export function StageNames({ stack, stage, errors, change }: Props) {
  return (
    <Container header={<Header variant="h2">Names</Header>}>
      <SpaceBetween size="l">
        <FormField
          label="Stack"
          description="The name of your application. All of its stages have the same stack name."
          constraintText={`${RULE} Up to ${String(STACK_MAX)} characters.`}
          errorText={fieldSentence(errors["/stack"])}
        >
          <Input
            value={stack}
            placeholder="shop"
            spellcheck={false}
            autoComplete={false}
            onChange={({ detail }) => change({ stack: detail.value })}
          />
        </FormField>
        <FormField
          label="Stage"
          description="The environment, such as dev, staging, or prod. You can't change the names later."
          constraintText={`${RULE} Up to ${String(STAGE_MAX)} characters.`}
          errorText={fieldSentence(errors["/stage"])}
        >
          <Input
            value={stage}
            placeholder="dev"
            spellcheck={false}
            autoComplete={false}
            onChange={({ detail }) => change({ stage: detail.value })}
          />
        </FormField>
      </SpaceBetween>
    </Container>
  );
}
