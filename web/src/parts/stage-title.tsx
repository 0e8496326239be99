/** Above each screen of a stage: its name, and a badge if it's protected. */
import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useStage } from "../stage-context";

export function StageTitle() {
  const { name, access } = useStage();
  return (
    <SpaceBetween direction="horizontal" size="xs" alignItems="center">
      <Box variant="strong" color="text-body-secondary">
        {name.stack} {name.stage}
      </Box>
      {access?.protected && <Badge color="blue">Protected</Badge>}
    </SpaceBetween>
  );
}
