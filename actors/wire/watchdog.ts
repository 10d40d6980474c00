/**
 * Ends the children of this process when it dies in a way that it cannot handle itself.
 *
 * W1  One watchdog a process: a shell in a session of its own, from the first child to the last. It keeps nobody alive.
 * W2  It learns of our death by the end of its input, whatever the cause; then SIGTERM to the groups, 3 s, SIGKILL to
 *     the groups and, on Linux, to all who carry a mark of ours: within 5 s nobody is left.
 * W3  It carries no mark of ours itself, only those that we were given.
 *
 * A shell takes 1 MB and starts in 2 ms. There is none on Windows, which has neither groups nor `sh`: what a process
 * leaves behind there ends with the sweep of the next start.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { hostToken, inheritedMarkers, markerVariable } from './process-marker.ts';

/** Its name in the list of processes, which would show the whole script if that were an argument. */
const watchdogName = 'troupe-watchdog';
const scriptVariable = 'TROUPE_WATCHDOG';
const pids = new Set<number>();
let watchdog: ChildProcess | undefined;

/** Has the group of this child ended when this process dies. */
export function watch(pid: number): void {
  pids.add(pid);
  tell(`add ${pid}`);
  try {
    watchdog ??= startWatchdog();
  } catch {
    // The child goes on without one; the next start tries again.
  }
}

/** Forgets a child, since it is gone. */
export function unwatch(pid: number): void {
  if (!pids.delete(pid)) return;
  tell(pids.size === 0 ? 'leave' : `drop ${pid}`);
  if (pids.size > 0) return;
  watchdog?.stdin?.end();
  watchdog = undefined;
}

function startWatchdog(): ChildProcess | undefined {
  if (process.platform === 'win32') return undefined;
  const started = spawn('/bin/sh', ['-c', `eval "$${scriptVariable}"`, watchdogName, hostToken()], {
    cwd: '/',
    detached: true,
    env: {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      [markerVariable]: inheritedMarkers().join(','),
      [scriptVariable]: script,
    },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const forget = () => {
    if (watchdog === started) watchdog = undefined;
  };
  started.on('error', forget);
  started.on('exit', forget);
  started.stdin?.on('error', forget);
  started.unref();
  for (const pid of pids) started.stdin?.write(`add ${pid}\n`);
  return started;
}

function tell(line: string): void {
  watchdog?.stdin?.write(`${line}\n`);
}

/**
 * The whole watchdog, in what every `sh` understands. `/proc` is missing elsewhere, and then the last loop finds nobody. It is
 * for those whom the search before it, fast also among thousands, may have missed: not every `grep` looks behind a NUL.
 */
const script = `
trap '' HUP INT TERM
groups=
while read -r verb pid; do
  case $verb in
    add) groups="$groups $pid" ;;
    drop) left=; for group in $groups; do [ "$group" = "$pid" ] || left="$left $group"; done; groups=$left ;;
    leave) exit 0 ;;
  esac
done
anybody() {
  for group in $groups; do kill -s 0 -- "-$group" && return 0; done
  return 1
}
for group in $groups; do kill -s TERM -- "-$group"; done
seconds=0
while [ $seconds -lt 3 ] && anybody; do sleep 1; seconds=$((seconds + 1)); done
for group in $groups; do kill -s KILL -- "-$group"; done
kill -s KILL $(grep -lF "$1." /proc/[0-9]*/environ | tr -dc '0-9\\n')
for round in 1 2; do
  for environment in /proc/[0-9]*/environ; do
    pid=\${environment#/proc/}
    tr '\\0' '\\n' <"$environment" | grep -qF "$1." && kill -s KILL "\${pid%/environ}"
  done
done
`;
