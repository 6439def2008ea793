/**
 * Authentication that belongs to a connection, not to a request: NTLM, and Negotiate where it falls back to it. Who made
 * itself known on a connection is whom the backend takes all later requests on it for.
 * @module
 */
import { type Fields, fieldOf } from "#l7/message.ts";

const SCHEME = /^(?:ntlm|negotiate)(?:$|[\s,])/i;

/** Whether a request makes its client known to the connection. */
export function bindsClient(fields: Fields): boolean {
  const credentials = fieldOf(fields, "authorization");
  return credentials !== undefined && SCHEME.test(credentials);
}

/** Whether a response asks for that. */
export function isBinding(fields: Fields): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] !== "www-authenticate") continue;
    for (const challenge of fields[at + 1]!.split(",")) if (SCHEME.test(challenge.trim())) return true;
  }
  return false;
}
