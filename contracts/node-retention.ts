import type { RetentionPolicy } from '../domain/retention/policy.ts';
import type { SurveyedImage } from './retention.ts';

/** How a node looks at its images. */
export type NodeImageRules = Pick<RetentionPolicy, 'imagesMs' | 'baseImagesMs'>;

/** On a node's own queue. */
export interface NodeRetentionActivities {
  /** Lists the platform's own images that nothing on the node uses, by id, and counts why others stay. */
  surveyImages(input: SurveyImagesInput): Promise<ImageSurvey>;
  /**
   * Removes images by their ids, each looked at again before; of a dry run it only measures them. What is gone already
   * counts as removed.
   */
  removeImages(input: RemoveImagesInput): Promise<RemovedImages>;
  /** Cuts the daemon's build cache down to a size; of a dry run it measures what would go. */
  pruneBuildCache(input: { readonly keepBytes: number; readonly isDryRun: boolean }): Promise<RemovedCache>;
}

/** Input of {@link NodeRetentionActivities.surveyImages}. */
export interface SurveyImagesInput {
  readonly afterId: string;
  readonly limit: number;
  readonly rules: NodeImageRules;
}

/** Answer of {@link NodeRetentionActivities.surveyImages}. */
export interface ImageSurvey {
  readonly images: readonly SurveyedImage[];
  /** How many of the platform's own stay, by reason; of all images, so only a first page tells. */
  readonly kept: Readonly<Record<string, number>>;
  readonly next: string | null;
  /** What all layers take by the daemon's own account; `null` when it did not say. */
  readonly layersBytes: number | null;
}

/** Input of {@link NodeRetentionActivities.removeImages}. */
export interface RemoveImagesInput {
  readonly imageIds: readonly string[];
  readonly rules: NodeImageRules;
  readonly isDryRun: boolean;
  /** What all layers took before. */
  readonly layersBytes: number | null;
}

/** Answer of {@link NodeRetentionActivities.removeImages}. */
export interface RemovedImages {
  readonly removed: number;
  /** `null` when the daemon did not say. */
  readonly bytesFreed: number | null;
  /** What was used again meanwhile, by reason. */
  readonly kept: Readonly<Record<string, number>>;
}

/** Answer of {@link NodeRetentionActivities.pruneBuildCache}. */
export interface RemovedCache {
  readonly removed: number;
  readonly bytesFreed: number | null;
}
