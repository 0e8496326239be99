/** How to connect, from the application and by hand. */
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Tabs from "@cloudscape-design/components/tabs";
import nodeExample from "../../../examples/node/main.js?raw";
import pythonExample from "../../../examples/python/main.py?raw";
import { usePage } from "../api";
import { environment, psql } from "../logic/connection";
import { useStage } from "../screens/stage-context";
import { Code } from "./copyable";

export function ConnectionHelp() {
  const { session } = usePage();
  const { name } = useStage();
  const { region } = session.configuration;
  const tab = (id: string, label: string, hint: string, text: string) => ({
    id,
    label,
    content: (
      <SpaceBetween size="s">
        <Box color="text-body-secondary">{hint}</Box>
        <Code text={text} label={label} />
      </SpaceBetween>
    ),
  });
  return (
    <Container header={<Header variant="h2">Connect</Header>}>
      <Tabs
        ariaLabel="Ways to connect"
        tabs={[
          tab("psql", "psql", "From a computer in the stage’s network, with the AWS CLI, jq and psql. No password is shown.", psql(name, region)),
          tab("environment", "Environment", "What the containers of this stage have; the values come from Secrets Manager.", environment()),
          tab("node", "Node.js", "An application that connects with the variables alone.", nodeExample),
          tab("python", "Python", "An application that connects with the variables alone.", pythonExample),
        ]}
      />
    </Container>
  );
}
