/** The one user of development, who also runs the platform there. */
export const DEV_USER = { id: 'dev', email: 'dev@localhost' } as const;
