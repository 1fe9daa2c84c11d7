/**
 * Platforms and how one is chosen from an index. OCI Image Specification image-index.md; the ranking of variants
 * follows the architectures' own rules: a newer arm runs code for an older one, never the other way round.
 */
import { arch, endianness } from 'node:os';
import { TslayerError } from '../errors.ts';
import type { Descriptor } from './descriptor.ts';

export interface Platform {
  /** GOARCH: amd64, arm64, arm, 386, riscv64, s390x, ppc64le … */
  readonly architecture: string;
  /** GOOS: linux … */
  readonly os: string;
  /** For example v7 for arm, v3 for amd64. */
  readonly variant?: string | undefined;
  readonly 'os.version'?: string | undefined;
  readonly 'os.features'?: readonly string[] | undefined;
}

const ALIASES: Readonly<Record<string, { architecture: string; variant?: string }>> = {
  x86_64: { architecture: 'amd64' },
  'x86-64': { architecture: 'amd64' },
  x64: { architecture: 'amd64' },
  i386: { architecture: '386' },
  i686: { architecture: '386' },
  ia32: { architecture: '386' },
  aarch64: { architecture: 'arm64' },
  armhf: { architecture: 'arm', variant: 'v7' },
  armel: { architecture: 'arm', variant: 'v6' },
  loong64: { architecture: 'loong64' },
};

function normalize(platform: Platform): Platform {
  const alias = ALIASES[platform.architecture];
  const architecture = alias?.architecture ?? platform.architecture;
  let variant = platform.variant || alias?.variant;
  if (architecture === 'arm' && variant && /^\d+$/.test(variant)) variant = `v${variant}`;
  // arm64 has one baseline, v8, and amd64's is v1: naming it says nothing.
  if (architecture === 'arm64' && (variant === 'v8' || variant === '8')) variant = undefined;
  if (architecture === 'amd64' && variant === 'v1') variant = undefined;
  return variant ? { ...platform, architecture, variant } : { ...omitVariant(platform), architecture };
}

function omitVariant(platform: Platform): Platform {
  const { variant: _variant, ...rest } = platform;
  return rest;
}

/** The platform of this machine, as images name it. */
export function hostPlatform(): Platform {
  const machine = arch();
  if (machine === 'arm') return { os: 'linux', architecture: 'arm', variant: 'v7' };
  if (machine === 'ppc64' && endianness() === 'LE') return { os: 'linux', architecture: 'ppc64le' };
  return normalize({ os: 'linux', architecture: machine });
}

/** Reads `os/arch[/variant]` or `arch`. */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split('/');
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9][a-z0-9_.-]*$/.test(part))) {
    throw new TslayerError('INVALID_ARGUMENT', `not a platform: ${JSON.stringify(text)}`, {
      hint: 'write os/arch or os/arch/variant, as in linux/arm64 or linux/arm/v7',
    });
  }
  const [first = '', second, variant] = parts;
  if (second === undefined) return normalize({ os: 'linux', architecture: first });
  return normalize({ os: first, architecture: second, ...(variant ? { variant } : {}) });
}

export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = normalize(platform);
  return variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`;
}

/** How well `candidate` serves `wanted`: higher is better, undefined is not at all. */
function rank(wanted: Platform, candidate: Platform): number | undefined {
  const want = normalize(wanted);
  const have = normalize(candidate);
  if (want.os !== have.os || want.architecture !== have.architecture) return undefined;
  const baseline = want.architecture === 'arm' ? 7 : want.architecture === 'arm64' ? 8 : 1;
  const level = (variant: string | undefined) => (variant ? Number.parseFloat(variant.replace(/^v/, '')) : baseline);
  const wantLevel = level(want.variant);
  const haveLevel = level(have.variant);
  if (Number.isNaN(wantLevel) || Number.isNaN(haveLevel)) return want.variant === have.variant ? 1000 : undefined;
  return haveLevel > wantLevel ? undefined : 1000 - (wantLevel - haveLevel);
}

export function platformMatches(wanted: Platform, candidate: Platform): boolean {
  return rank(wanted, candidate) !== undefined;
}

/**
 * The manifest of an index that fits `wanted` best; the first of equals, as the index's order is its preference.
 * Attestations (`unknown/unknown`) are never chosen.
 */
export function selectPlatform(manifests: readonly Descriptor[], wanted: Platform, what: string): Descriptor {
  let best: { descriptor: Descriptor; score: number } | undefined;
  for (const descriptor of manifests) {
    const score = descriptor.platform ? rank(wanted, descriptor.platform) : undefined;
    if (score !== undefined && (best === undefined || score > best.score)) best = { descriptor, score };
  }
  // An index with a single image and no platform at all is what `oci:` tools write for one image.
  const [only] = manifests;
  if (!best && manifests.length === 1 && only && !only.platform) return only;
  if (best) return best.descriptor;
  const offered = manifests.flatMap((m) =>
    m.platform && m.platform.os !== 'unknown' ? [formatPlatform(m.platform)] : [],
  );
  throw new TslayerError('UNSUPPORTED', `${what} has no image for ${formatPlatform(wanted)}`, {
    hint: offered.length > 0 ? `it has ${offered.join(', ')}; choose one with --platform` : undefined,
  });
}
