/** Backups of the database. */
import { exec } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** Copies the database into a folder and gives the path of the copy. */
export async function backup(database, folder) {
  await mkdir(folder, { recursive: true });
  const copy = join(folder, `${Date.now()}-${basename(database)}`);
  await copyFile(database, copy);
  return copy;
}

/** Packs a folder of backups into one archive. */
export function pack(folder, done) {
  exec(`tar -czf ${folder}.tgz ${folder}`, (error) => done(error));
}
