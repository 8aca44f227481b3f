/**
 * ONNX Runtime's own builds, from 1.29 on, send what they are used for to Microsoft on Linux and macOS
 * too, and keep an identifier of the machine in `~/.cache/Microsoft` (microsoft/onnxruntime, pull
 * request 27379). A program that says that it works offline must not. The variable is read once,
 * where the first session is made, so this stands before every import of ONNX Runtime; a person who
 * sets it otherwise is heard.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1';
