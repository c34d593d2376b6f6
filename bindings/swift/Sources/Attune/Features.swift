// Written by `cargo xtask docs` from the feature schema: change that.

/// One number the intent model sees.
public struct FeatureSpec: Sendable, Hashable {
    public let name: String
    public let modality: String
    public let unit: String
    /// Length of the sliding window, seconds.
    public let windowS: Double
    /// How far the value lies behind the body, seconds.
    public let delayS: Double
    public let range: ClosedRange<Double>
    public let definition: String
}

/// The features, in the order of the model's inputs.
public enum Features {
    /// What a model's manifest must state.
    public static let schemaHash = "9b6c327891a81e73b8b46900d7125b5d839b5143f21946617a3f0b8bdac94a09"

    public static let all: [FeatureSpec] = [
        FeatureSpec(name: "eda_scl_mean_5s", modality: "eda", unit: "uS", windowS: 5.0, delayS: 0.0, range: 0.0...60.0, definition: "mean skin conductance"),
        FeatureSpec(name: "eda_scl_slope_10s", modality: "eda", unit: "uS/s", windowS: 10.0, delayS: 0.0, range: -2.0...2.0, definition: "least-squares slope of skin conductance"),
        FeatureSpec(name: "eda_phasic_area_10s", modality: "eda", unit: "uS*s", windowS: 10.0, delayS: 0.0, range: 0.0...50.0, definition: "area of the positive phasic part (Butterworth high-pass, order 2, 0.05 Hz, forward over the stream and backward from now)"),
        FeatureSpec(name: "eda_phasic_sd_30s", modality: "eda", unit: "uS", windowS: 30.0, delayS: 0.0, range: 0.0...10.0, definition: "standard deviation (n - 1) of the phasic part"),
        FeatureSpec(name: "eda_scr_sum_10s", modality: "eda", unit: "uS", windowS: 10.0, delayS: 0.0, range: 0.0...30.0, definition: "summed amplitude of SCRs, last trough to peak, by time of peak"),
        FeatureSpec(name: "eda_scr_rate_60s", modality: "eda", unit: "1/min", windowS: 60.0, delayS: 0.0, range: 0.0...40.0, definition: "SCRs a minute: prominence in the phasic part at least 0.01 uS, rise at most 5 s"),
        FeatureSpec(name: "eda_scr_amplitude_60s", modality: "eda", unit: "uS", windowS: 60.0, delayS: 0.0, range: 0.0...10.0, definition: "mean SCR amplitude, 0 without SCRs"),
        FeatureSpec(name: "hrv_hr_mean_10s", modality: "hrv", unit: "1/min", windowS: 10.0, delayS: 0.0, range: 30.0...220.0, definition: "60,000 / mean NN interval"),
        FeatureSpec(name: "hrv_hr_trend_30s", modality: "hrv", unit: "1/min", windowS: 30.0, delayS: 0.0, range: -60.0...60.0, definition: "heart rate, last 5 s minus last 30 s"),
        FeatureSpec(name: "hrv_rmssd_30s", modality: "hrv", unit: "ms", windowS: 30.0, delayS: 0.0, range: 0.0...300.0, definition: "RMSSD over contiguous NN intervals"),
        FeatureSpec(name: "hrv_sdnn_30s", modality: "hrv", unit: "ms", windowS: 30.0, delayS: 0.0, range: 0.0...300.0, definition: "SDNN, n-1 in the denominator"),
        FeatureSpec(name: "hrv_pnn50_30s", modality: "hrv", unit: "%", windowS: 30.0, delayS: 0.0, range: 0.0...100.0, definition: "pNN50 over n-1 differences"),
        FeatureSpec(name: "hrv_coherence_ratio_64s", modality: "hrv", unit: "1", windowS: 64.0, delayS: 0.0, range: 0.0...20.0, definition: "peak power in 0.04-0.26 Hz (0.03 Hz window) over the rest of total power"),
    ]
}
