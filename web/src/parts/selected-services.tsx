/** The selected services. For each one, the user chooses the container that gets the runtime variables. */
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { FoundService } from "../api";
import { type Choice, foundOf, keyOf } from "../logic/registration";
import { type FieldErrors, fieldSentence } from "../logic/save";

interface Props {
  chosen: Choice[];
  known: FoundService[];
  errors: FieldErrors;
  change: (chosen: Choice[]) => void;
}

/** The errors of a service. All of them are shown at its container, because the rest of it is fixed. */
function errorOf(errors: FieldErrors, index: number): string | undefined {
  const found = ["", "/cluster", "/name", "/container"].map((field) => errors[`/services/${String(index)}${field}`]);
  return found.flatMap((detail) => fieldSentence(detail) ?? []).join(" ") || undefined;
}

export function SelectedServices({ chosen, known, errors, change }: Props) {
  return (
    <Container
      header={
        <Header
          variant="h2"
          counter={`(${String(chosen.length)})`}
          description="Choose the container of each service that gets the runtime variables."
        >
          Selected services
        </Header>
      }
    >
      {chosen.length === 0 ? (
        <Box color="text-body-secondary">You haven't selected any services yet.</Box>
      ) : (
        <SpaceBetween size="m">
          {chosen.map((choice, index) => {
            const containers = foundOf([choice], known)[0]?.containers ?? [];
            const names = containers.includes(choice.container) ? containers : [choice.container, ...containers];
            return (
              <FormField
                key={keyOf(choice)}
                label={`Container of ${choice.name}`}
                description={`Cluster ${choice.cluster}`}
                errorText={errorOf(errors, index)}
                secondaryControl={
                  <Button
                    formAction="none"
                    iconName="close"
                    variant="icon"
                    ariaLabel={`Remove ${choice.name} from the selection`}
                    onClick={() => change(chosen.filter((other) => other !== choice))}
                  />
                }
              >
                <Select
                  selectedOption={{ value: choice.container, label: choice.container }}
                  options={names.map((value) => ({ value, label: value }))}
                  onChange={({ detail }) =>
                    change(
                      chosen.map((other) =>
                        other === choice ? { ...choice, container: detail.selectedOption.value ?? "" } : other,
                      ),
                    )
                  }
                />
              </FormField>
            );
          })}
        </SpaceBetween>
      )}
    </Container>
  );
}
