/** Shows an error from the API, with a button to try again if that's possible. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import { Refusal } from "../api";

export function ProblemAlert({ error, header, again }: { error: Error; header?: string; again?: () => void }) {
  const problem = error instanceof Refusal ? error.problem : undefined;
  const isRefusal = problem !== undefined && problem.status >= 400 && problem.status < 500;
  return (
    <Alert
      type={isRefusal ? "warning" : "error"}
      header={header ?? problem?.title ?? "Something went wrong"}
      action={again && <Button formAction="none" onClick={again}>Try again</Button>}
    >
      <span className="plain-text">{error.message}</span>
      {problem?.requestId && problem.status >= 500 ? (
        <Box variant="small" display="block">
          Request ID: {problem.requestId}
        </Box>
      ) : null}
    </Alert>
  );
}
