/** The insured register: data under the register's own pairwise ID; no card, certificate or 個人番号 comes here. */
export const eligibilityMigrations = {
  '0001-membership': `
    create table membership (
      subject text not null,
      insurer text not null,
      symbol text,
      number text not null,
      branch text,
      ratio integer,
      valid_from text not null,
      valid_to text,
      primary key (subject, insurer, number, valid_from)
    );`,
} as const
