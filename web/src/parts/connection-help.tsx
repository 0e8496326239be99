/** How to connect from an application or with psql. */
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Tabs from "@cloudscape-design/components/tabs";
import nodeExample from "../../../examples/node/main.js?raw";
import pythonExample from "../../../examples/python/main.py?raw";
import { usePage } from "../api";
import { environment, psql } from "../logic/connection";
import { useStage } from "../stage-context";
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
        ariaLabel="Connection methods"
        tabs={[
          tab("psql", "psql", "Run this on a computer in the stage's network. You need the AWS CLI, jq, and psql. The password isn't displayed.", psql(name, region)),
          tab("environment", "Environment variables", "The environment variables of this stage's containers. ECS reads the values from Secrets Manager.", environment()),
          tab("node", "Node.js", "An example application that needs only these environment variables to connect.", nodeExample),
          tab("python", "Python", "An example application that needs only these environment variables to connect.", pythonExample),
        ]}
      />
    </Container>
  );
}
