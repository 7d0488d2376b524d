/** What makes a value sensitive (security.md, sensitive fields). */
export type SensitivityClass = 'pii' | 'phi' | 'pci' | 'financial' | 'credential';
