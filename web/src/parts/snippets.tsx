/** The references to the secret, to copy into your own task definitions. */
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Tabs from "@cloudscape-design/components/tabs";
import { useCallback } from "react";
import { usePage } from "../api";
import { useResource } from "../resource";
import { useStage } from "../stage-context";
import { Code } from "./copyable";
import { ProblemAlert } from "./problem";

export default function Snippets() {
  const { api } = usePage();
  const { name } = useStage();
  const { value, error, again } = useResource(useCallback((signal: AbortSignal) => api.snippets(name, signal), [api, name]));
  return (
    <Container
      header={
        <Header
          variant="h2"
          description="With these references in your own task definition, your deployments have the variables from the start, so nothing needs to be restored."
        >
          In your own task definition
        </Header>
      }
    >
      {error && !value && <ProblemAlert error={error} header="Couldn't load the references" again={again} />}
      {!error && !value && <Spinner />}
      {value && (
        <Tabs
          ariaLabel="Tools"
          tabs={value.map(({ tool, title, note, text }) => ({
            id: tool,
            label: title,
            content: (
              <SpaceBetween size="s">
                <Box color="text-body-secondary">{note}</Box>
                <Code text={text} label={title} />
              </SpaceBetween>
            ),
          }))}
        />
      )}
    </Container>
  );
}
