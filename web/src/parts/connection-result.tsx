/** The progress of a connection test, and then what it has found. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import LiveRegion from "@cloudscape-design/components/live-region";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { type Place, type Report, reportOf, type Tested } from "../logic/connection-test";

export function ConnectionResult({ tested: { outcome }, isOutdated }: { tested: Tested; isOutdated: boolean }) {
  return (
    <section aria-label="Connection test">
      <LiveRegion>
        <SpaceBetween size="s">
          {isOutdated && (
            <Box color="text-status-warning">
              Outdated: the values or the stage's settings have changed since this test was started.
            </Box>
          )}
          {outcome ? (
            <Found report={reportOf(outcome)} isOutdated={isOutdated} />
          ) : (
            <Box color="text-body-secondary">
              <Spinner /> Starting a client in your services' network. This usually takes less than a minute.
            </Box>
          )}
        </SpaceBetween>
      </LiveRegion>
    </section>
  );
}

function Found({ report: { type, header, text, places }, isOutdated }: { report: Report; isOutdated: boolean }) {
  return (
    <Alert type={isOutdated ? "info" : type} header={header}>
      <SpaceBetween size="xs">
        {text !== undefined && <span className="plain-text">{text}</span>}
        {places.length > 0 && (
          <ul>
            {places.map((place) => (
              <li key={`${place.from} ${place.found ?? ""}`}>
                <At place={place} />
              </li>
            ))}
          </ul>
        )}
      </SpaceBetween>
    </Alert>
  );
}

function At({ place: { from, found, nextStep } }: { place: Place }) {
  return (
    <>
      <span className="plain-text">{found === undefined ? from : `${from}: ${found}`}</span>
      {nextStep !== undefined && (
        <Box color="inherit" variant="p" padding="n">
          <strong>What to do next:</strong> {nextStep}
        </Box>
      )}
    </>
  );
}
