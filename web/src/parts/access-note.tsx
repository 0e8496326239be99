/** Above a form that the user may not submit: why, and who may. */
import Alert from "@cloudscape-design/components/alert";
import type { Access } from "../logic/access";

export function AccessNote({ access, header = "You can't change this stage" }: { access: Access; header?: string }) {
  if (access.allowed || access.reason === undefined) return null;
  return (
    <Alert type="info" header={header}>
      {access.reason}
    </Alert>
  );
}
