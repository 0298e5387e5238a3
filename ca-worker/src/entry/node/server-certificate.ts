import { constants } from "node:crypto";

/**
 * No session is resumed: every connection sees the certificate of now, and there is no key that opens tickets. Agents keep
 * their connections, so that a full handshake is seldom.
 */
export const tlsRules = {
  minVersion: "TLSv1.2",
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const;

/** What node:tls takes, as PEM; the first certificate is the server's. */
export interface TlsContext {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: "TLSv1.2";
  readonly secureOptions: number;
}

/** What a server certificate is given to. */
export interface TlsTaker {
  setSecureContext(context: TlsContext): void;
}

/** The certificate that an https server shows, and what keeps it fresh. */
export interface ServerCertificate {
  readonly context: TlsContext;
  /** Seconds since the epoch. */
  readonly notAfter: number;
  /** How often another one was taken, and how often that could not be done. */
  readonly changes: { readonly taken: number; readonly failed: number };
  /** Looks whether there is another one and gives it to the server; open connections stay. Never throws. */
  renew(server: TlsTaker): Promise<void>;
}
