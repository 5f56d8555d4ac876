//! The elements that are read. No other is kept; of those that identify a person or a series, only hashes leave
//! [`origin`](super::origin).

pub(super) const TRANSFER_SYNTAX: u32 = 0x0002_0010;
pub(super) const LOSSY: u32 = 0x0028_2110;
pub(super) const SAMPLES_PER_PIXEL: u32 = 0x0028_0002;
pub(super) const PHOTOMETRIC: u32 = 0x0028_0004;
pub(super) const PLANAR: u32 = 0x0028_0006;
pub(super) const FRAMES: u32 = 0x0028_0008;
pub(super) const ROWS: u32 = 0x0028_0010;
pub(super) const COLUMNS: u32 = 0x0028_0011;
pub(super) const PIXEL_SPACING: u32 = 0x0028_0030;
pub(super) const IMAGER_SPACING: u32 = 0x0018_1164;
pub(super) const BITS_ALLOCATED: u32 = 0x0028_0100;
pub(super) const BITS_STORED: u32 = 0x0028_0101;
pub(super) const HIGH_BIT: u32 = 0x0028_0102;
pub(super) const SIGNED: u32 = 0x0028_0103;
pub(super) const WINDOW_CENTER: u32 = 0x0028_1050;
pub(super) const WINDOW_WIDTH: u32 = 0x0028_1051;
pub(super) const WINDOW_FUNCTION: u32 = 0x0028_1056;
pub(super) const INTERCEPT: u32 = 0x0028_1052;
pub(super) const SLOPE: u32 = 0x0028_1053;
/// Descriptors, values and segmented values of the tables of a palette: red, green, blue.
pub(super) const PALETTE: [[u32; 3]; 3] = [
    [0x0028_1101, 0x0028_1201, 0x0028_1221],
    [0x0028_1102, 0x0028_1202, 0x0028_1222],
    [0x0028_1103, 0x0028_1203, 0x0028_1223],
];
pub(super) const MODALITY_TABLES: u32 = 0x0028_3000;
pub(super) const VOI_TABLES: u32 = 0x0028_3010;
pub(super) const TABLE_DESCRIPTOR: u32 = 0x0028_3002;
pub(super) const TABLE_DATA: u32 = 0x0028_3006;
pub(super) const SHARED_GROUPS: u32 = 0x5200_9229;
pub(super) const FRAME_GROUPS: u32 = 0x5200_9230;
pub(super) const PIXEL_MEASURES: u32 = 0x0028_9110;
pub(super) const FRAME_WINDOW: u32 = 0x0028_9132;
pub(super) const FRAME_RESCALE: u32 = 0x0028_9145;
pub(super) const FRAME_POSITION: u32 = 0x0020_9113;
pub(super) const FRAME_ORIENTATION: u32 = 0x0020_9116;
pub(super) const POSITION: u32 = 0x0020_0032;
pub(super) const ORIENTATION: u32 = 0x0020_0037;
pub(super) const PATIENT: u32 = 0x0010_0020;
pub(super) const PATIENT_ISSUER: u32 = 0x0010_0021;
pub(super) const STUDY: u32 = 0x0020_000d;
pub(super) const SERIES: u32 = 0x0020_000e;
pub(super) const MODALITY: u32 = 0x0008_0060;
pub(super) const MANUFACTURER: u32 = 0x0008_0070;
pub(super) const MODEL: u32 = 0x0008_1090;
pub(super) const PROTOCOL: u32 = 0x0018_1030;
pub(super) const FIELD_STRENGTH: u32 = 0x0018_0087;
pub(super) const IMAGE_TYPE: u32 = 0x0008_0008;
pub(super) const ECHO: u32 = 0x0018_0086;
pub(super) const FRAME_ECHO: u32 = 0x0018_9114;
pub(super) const FRAME_ECHO_TIME: u32 = 0x0018_9082;
pub(super) const TIME: u32 = 0x0020_0100;
pub(super) const FRAME_CONTENT: u32 = 0x0020_9111;
pub(super) const FRAME_TIME: u32 = 0x0020_9128;
pub(super) const FLOATS: u32 = 0x7fe0_0008;
pub(super) const DOUBLES: u32 = 0x7fe0_0009;
pub(super) const PIXEL_DATA: u32 = 0x7fe0_0010;

pub(super) const READ: [u32; 60] = [
    TRANSFER_SYNTAX,
    LOSSY,
    SAMPLES_PER_PIXEL,
    PHOTOMETRIC,
    PLANAR,
    FRAMES,
    ROWS,
    COLUMNS,
    PIXEL_SPACING,
    IMAGER_SPACING,
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    SIGNED,
    WINDOW_CENTER,
    WINDOW_WIDTH,
    WINDOW_FUNCTION,
    INTERCEPT,
    SLOPE,
    PALETTE[0][0],
    PALETTE[0][1],
    PALETTE[0][2],
    PALETTE[1][0],
    PALETTE[1][1],
    PALETTE[1][2],
    PALETTE[2][0],
    PALETTE[2][1],
    PALETTE[2][2],
    MODALITY_TABLES,
    VOI_TABLES,
    TABLE_DESCRIPTOR,
    TABLE_DATA,
    SHARED_GROUPS,
    FRAME_GROUPS,
    PIXEL_MEASURES,
    FRAME_WINDOW,
    FRAME_RESCALE,
    FRAME_POSITION,
    FRAME_ORIENTATION,
    POSITION,
    ORIENTATION,
    FLOATS,
    DOUBLES,
    PIXEL_DATA,
    PATIENT,
    PATIENT_ISSUER,
    STUDY,
    SERIES,
    MODALITY,
    MANUFACTURER,
    MODEL,
    PROTOCOL,
    FIELD_STRENGTH,
    IMAGE_TYPE,
    ECHO,
    FRAME_ECHO,
    FRAME_ECHO_TIME,
    TIME,
    FRAME_CONTENT,
    FRAME_TIME,
];
