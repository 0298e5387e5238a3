/** A secret by its name or its ARN, as an `aws-secretsmanager:` location gives it. */
export interface SecretName {
  /** What GetSecretValue takes. */
  readonly id: string;
  /** Of the ARN; undefined for a name, which is looked for in the region of the environment. */
  readonly region: string | undefined;
}

/** A region of AWS, which becomes part of a host name. */
export const regionForm = /^[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}$/;
const arnForm = /^arn:aws(?:-[a-z-]+)?:secretsmanager:([a-z0-9-]+):\d{12}:secret:[\w/+=.@-]{1,519}$/;
// The characters that CreateSecret takes (Secrets Manager API reference).
const nameForm = /^[\w/+=.@-]{1,512}$/;

/** The secret that a text names; undefined where it names none. */
export function parseSecretName(text: string): SecretName | undefined {
  const region = arnForm.exec(text)?.[1];
  if (region !== undefined) return regionForm.test(region) ? { id: text, region } : undefined;
  return nameForm.test(text) ? { id: text, region: undefined } : undefined;
}
