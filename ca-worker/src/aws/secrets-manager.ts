import { SignetError } from "@signet/shared/errors";
import type { TextSource } from "../text-source.ts";
import { type AwsDeps, AwsRefusal, type AwsService, callAws } from "./json-service.ts";
import { regionForm, type SecretName } from "./secret-name.ts";

const service: AwsService = {
  name: "secretsmanager",
  targetPrefix: "secretsmanager",
  endpointVariable: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
};

/**
 * A secret in AWS Secrets Manager as a text: its current version (AWSCURRENT), whatever a rotation has pending.
 * An error names what is missing: the region, credentials, a permission, the secret. It never quotes an answer.
 */
export function secretSource({ id, region }: SecretName, deps: AwsDeps): TextSource {
  return {
    async read() {
      const place = region ?? defaultRegion(deps);
      const what = `secret ${id} in ${place}`;
      let answer: Readonly<Record<string, unknown>>;
      try {
        const input = { SecretId: id, VersionStage: "AWSCURRENT" };
        answer = await callAws(service, place, "GetSecretValue", input, deps);
      } catch (error) {
        if (!(error instanceof AwsRefusal)) throw error;
        throw new SignetError("source-unavailable", `${what}: ${advise(error)}`, { cause: error });
      }
      const { SecretString: text } = answer;
      if (typeof text === "string") return text;
      throw new SignetError("source-unavailable", `${what}: it holds binary data; put the text in as its SecretString`);
    },
  };
}

function defaultRegion({ environment }: AwsDeps): string {
  const region = environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION ?? "";
  if (regionForm.test(region)) return region;
  throw new SignetError(
    "source-unavailable",
    region === "" ? "AWS_REGION is not set; set it, or name the secret by its ARN" : "AWS_REGION is no AWS region",
  );
}

/** What to do about an error (Secrets Manager API reference, GetSecretValue and Common Errors). */
function advise({ error, status }: AwsRefusal): string {
  switch (error) {
    case "ResourceNotFoundException":
      return "there is no such secret with a current version (ResourceNotFoundException)";
    case "AccessDeniedException":
      return `IAM must allow this role secretsmanager:GetSecretValue on it, and kms:Decrypt on its key if that is a customer managed one (${error})`;
    case "DecryptionFailure":
      return `its KMS key cannot be used; is it enabled, and does IAM allow kms:Decrypt on it? (${error})`;
    case "InvalidRequestException":
      return `it is scheduled for deletion, or another service manages it (${error})`;
    case "ExpiredTokenException":
    case "IncompleteSignature":
    case "InvalidClientTokenId":
    case "InvalidSignatureException":
    case "MissingAuthenticationToken":
    case "UnrecognizedClientException":
      return `AWS does not accept the credentials in AWS_ACCESS_KEY_ID and the variables beside it (${error})`;
    default:
      return `AWS answers ${status} ${error}`;
  }
}
