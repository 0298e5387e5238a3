import type { Awaitable } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** Asked before each call, so that credentials that end are followed by the next. */
export type CredentialSource = () => Awaitable<AwsCredentials>;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Credentials in the variables that every AWS SDK reads, which Lambda sets to those of the function's role.
 * @throws SignetError `source-unavailable` that names the variables
 */
export function environmentCredentials(environment: Environment): CredentialSource {
  return () => {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = environment;
    if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
      const missing = AWS_ACCESS_KEY_ID ? "AWS_SECRET_ACCESS_KEY is" : "AWS_ACCESS_KEY_ID is";
      throw new SignetError(
        "source-unavailable",
        `there are no AWS credentials: ${missing} not set (Lambda sets it with AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN)`,
      );
    }
    return {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      sessionToken: AWS_SESSION_TOKEN || undefined,
    };
  };
}
