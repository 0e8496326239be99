/** For a user without a role: who they're signed in as, and what to ask an administrator for. */
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { usePage } from "../api";
import { useMe } from "../me";

const MAY = [
  ["stagedb-viewer", "View all settings and the history."],
  ["stagedb-editor", "Also register stages, change settings, and rebuild, unless a stage is protected."],
  ["stagedb-admin", "Also remove databases, deregister and protect stages, and change protected stages."],
] as const;

/** `stack` is the stack that the user has no access to. Without it, the user has no access at all. */
export default function NoAccess({ stack }: { stack?: string }) {
  const { session } = usePage();
  const { value: me } = useMe();
  const suffix = stack ?? "STACK";
  return (
    <Container
      header={
        <Header variant="h1" actions={<Button onClick={() => session.signOut()}>Sign out</Button>}>
          {stack ? `You don't have access to ${stack}` : "You don't have access"}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Box variant="p" padding="n">
          You're signed in as{" "}
          <strong className="plain-text">{me?.email ?? me?.subject ?? session.name}</strong>, and this user has no role
          {stack ? ` on the stack ${stack}` : ""}. Ask an administrator to add the user to one of these groups of the user
          pool:
        </Box>
        <ul>
          {MAY.map(([group, may]) => (
            <li key={group}>
              <strong>{group}</strong>: {may}
            </li>
          ))}
        </ul>
        <Box variant="p" padding="n">
          For access to one stack only, the group's name ends with a colon and the name of the stack, such as{" "}
          <strong>{`stagedb-editor:${suffix}`}</strong>. After you've been added, sign out and sign in again.
        </Box>
      </SpaceBetween>
    </Container>
  );
}
