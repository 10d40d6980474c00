/** Failures in the words of the protocol. */
import type { ErrorClass } from '../core/errors.ts';

/** A kind of failure in one word of the protocol. */
export function apiErrorWord(errorClass: ErrorClass, status: number | undefined): string {
  switch (errorClass) {
    case 'auth':
      return 'authentication_failed';
    case 'quota':
      return 'billing_error';
    case 'overloaded':
      return status === 429 ? 'rate_limit' : 'overloaded';
    case 'invalid':
      return status === 404 ? 'model_not_found' : 'invalid_request';
    case 'context-overflow':
      return 'invalid_request';
    case 'transient':
    case 'timeout':
      return 'server_error';
    default:
      return 'unknown';
  }
}

/** The same in the API's own types. */
export function apiErrorType(errorClass: ErrorClass, status: number | undefined): string {
  switch (errorClass) {
    case 'auth':
      return status === 403 ? 'permission_error' : 'authentication_error';
    case 'quota':
      return 'billing_error';
    case 'overloaded':
      return status === 429 ? 'rate_limit_error' : 'overloaded_error';
    case 'invalid':
      return status === 404 ? 'not_found_error' : 'invalid_request_error';
    case 'context-overflow':
      return 'invalid_request_error';
    case 'timeout':
      return 'timeout_error';
    default:
      return 'api_error';
  }
}
