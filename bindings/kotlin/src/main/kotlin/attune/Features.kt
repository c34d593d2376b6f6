// Written by `cargo xtask docs` from the feature schema: change that.
package attune

/** One number the intent model sees. */
public data class FeatureSpec(
    public val name: String,
    public val modality: String,
    public val unit: String,
    /** Length of the sliding window, seconds. */
    public val windowS: Double,
    /** How far the value lies behind the body, seconds. */
    public val delayS: Double,
    public val least: Double,
    public val greatest: Double,
    public val definition: String,
)

/** The features, in the order of the model's inputs. */
public object Features {
    /** What a model's manifest must state. */
    public const val SCHEMA_HASH: String = "9b6c327891a81e73b8b46900d7125b5d839b5143f21946617a3f0b8bdac94a09"

    public val ALL: List<FeatureSpec> = listOf(
        FeatureSpec("eda_scl_mean_5s", "eda", "uS", 5.0, 0.0, 0.0, 60.0, "mean skin conductance"),
        FeatureSpec("eda_scl_slope_10s", "eda", "uS/s", 10.0, 0.0, -2.0, 2.0, "least-squares slope of skin conductance"),
        FeatureSpec("eda_phasic_area_10s", "eda", "uS*s", 10.0, 0.0, 0.0, 50.0, "area of the positive phasic part (Butterworth high-pass, order 2, 0.05 Hz, forward over the stream and backward from now)"),
        FeatureSpec("eda_phasic_sd_30s", "eda", "uS", 30.0, 0.0, 0.0, 10.0, "standard deviation (n - 1) of the phasic part"),
        FeatureSpec("eda_scr_sum_10s", "eda", "uS", 10.0, 0.0, 0.0, 30.0, "summed amplitude of SCRs, last trough to peak, by time of peak"),
        FeatureSpec("eda_scr_rate_60s", "eda", "1/min", 60.0, 0.0, 0.0, 40.0, "SCRs a minute: prominence in the phasic part at least 0.01 uS, rise at most 5 s"),
        FeatureSpec("eda_scr_amplitude_60s", "eda", "uS", 60.0, 0.0, 0.0, 10.0, "mean SCR amplitude, 0 without SCRs"),
        FeatureSpec("hrv_hr_mean_10s", "hrv", "1/min", 10.0, 0.0, 30.0, 220.0, "60,000 / mean NN interval"),
        FeatureSpec("hrv_hr_trend_30s", "hrv", "1/min", 30.0, 0.0, -60.0, 60.0, "heart rate, last 5 s minus last 30 s"),
        FeatureSpec("hrv_rmssd_30s", "hrv", "ms", 30.0, 0.0, 0.0, 300.0, "RMSSD over contiguous NN intervals"),
        FeatureSpec("hrv_sdnn_30s", "hrv", "ms", 30.0, 0.0, 0.0, 300.0, "SDNN, n-1 in the denominator"),
        FeatureSpec("hrv_pnn50_30s", "hrv", "%", 30.0, 0.0, 0.0, 100.0, "pNN50 over n-1 differences"),
        FeatureSpec("hrv_coherence_ratio_64s", "hrv", "1", 64.0, 0.0, 0.0, 20.0, "peak power in 0.04-0.26 Hz (0.03 Hz window) over the rest of total power"),
    )
}
